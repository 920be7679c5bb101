"""What --resume finds of an earlier run, before the work begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentsync.pipeline.segments.finishing import Finishing, may_finish
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of, kept_seed
from latentsync.settings.schema import Config
from latentsync.settings.seeds import NEW, new_seed, with_seed


def resumed(configs: Sequence[Config]) -> list[Config]:
    """The settings with the seed of an earlier run, where they ask for a new one: all of them have
    the same models. An output that an earlier run had not quite finished may be replaced.

    configs: with output.path. A folder of segments that was only to be deleted is deleted.
    """
    kept = [_kept(Path(str(one.output.path))) for one in configs if one.generate.seed == NEW]
    seed = next((one for one in kept if one is not None), None)
    seed = new_seed() if seed is None else seed
    for one in configs:
        remove_leftover(Path(str(one.output.path)))
    return [may_finish(with_seed(one, seed)) for one in configs]


def _kept(target: Path) -> int | None:
    return kept_seed(folder_of(target))


def remove_leftover(target: Path) -> None:
    """Deletes the segments of an output that is complete."""
    folder = folder_of(target)
    if Finishing(folder).is_complete(target):
        SegmentFolder(folder, {}).remove()


def is_unfinished(target: Path) -> bool:
    """Whether an output is an earlier run's, which was stopped before it had written the report."""
    finishing = Finishing(folder_of(target))
    return finishing.is_ours(target) and not finishing.is_complete(target)
