"""The whole preparation: inputs -> finished sources -> lists, shards, table and overview."""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from latentsync.errors import ConfigError
from latentsync.face.identity import load_embedding
from latentsync.pipeline.segments.lock import held
from latentsync.settings.schema import Config
from latentsync.training.preparation import outputs, store
from latentsync.training.preparation.disk import check_disk, needed
from latentsync.training.preparation.inputs import Input, InspectWork, find_inputs
from latentsync.training.preparation.manifest import DROPPED, FAILED, Row
from latentsync.training.preparation.one_source import prepare_source
from latentsync.training.preparation.overview import write_overview
from latentsync.training.preparation.record import Clip, Record
from latentsync.training.preparation.settings import PreparationSettings, check
from latentsync.training.preparation.splitting import Split, split
from latentsync.training.preparation.store import Store, check_output
from latentsync.training.preparation.table import write_table
from latentsync.training.preparation.tools import has_syncnet, identity_of, load_tools
from latentsync.training.preparation.workers import Advanced, Done, Start, Work

Events = Generator[Done[Input] | Advanced[Input], None, None]
Pool = Callable[[Sequence[Input], Start], Events]
"""Works on the inputs; see workers.work_on and cluster.work_on_cluster."""


class Watcher(Protocol):
    """Shows how far the work has come."""

    def found(self, files: int, finished: int, seconds: float, room: int) -> None:
        """seconds: of the videos that are still to be done. room: bytes of disk for them."""
        ...

    def advanced(self, seconds: float) -> None:
        """So much more video was read for the first time."""
        ...

    def ended(self, one: Input, error: str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Options:
    """What changes no clip. way, share: see splitting.split. shard_bytes: 0: no shards."""

    way: str = "looks"
    share: float = 0.05
    shard_bytes: int = 500_000_000
    need_syncnet: bool = False
    check_disk: bool = True


@dataclass(slots=True, eq=False)
class Outcome:
    """rows: of all steps of all inputs. failed: inputs that the program failed on."""

    inputs: list[Input]
    rows: list[Row] = field(default_factory=list)
    clips: list[Clip] = field(default_factory=list)
    split: Split = field(default_factory=lambda: Split({}, {}, "looks"))
    shards: int = 0
    failed: int = 0
    unused: list[Path] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SourceWork:
    """A workers.Start. set_up: called first in each process."""

    config: Config
    settings: PreparationSettings
    store: Store
    set_up: Callable[[], None]

    def __call__(self) -> Work:
        """Raises any LatentSyncError that loading raises; ConfigError: what is made here would not
        be what is made where the store was opened."""
        self.set_up()
        tools, kept, settings = load_tools(self.config), self.store, self.settings
        if not kept.is_for(_identity(settings, self.config)):
            remedy = "all machines need the same program and weights"
            raise ConfigError("other weights or another program", platform.node(), remedy)

        def work(one: Input, tick: Callable[[], None]) -> None:
            with kept.making(one) as part:
                stem = kept.stem(one)
                ticked = kept.keep_alive(part, tick)
                done = prepare_source(one.path, one.name, stem, part, tools, settings, ticked)
                kept.write(part, one, done)

        return work


def prepare(
    folder: Path,
    output: Path,
    settings: PreparationSettings,
    options: Options,
    config: Config,
    *,
    pool: Pool,
    set_up: Callable[[], None],
    set_up_inspection: Callable[[], None],
    watcher: Watcher,
) -> Outcome:
    """Writes the output folder; what is finished in it stays. The inputs are only read.

    set_up: called first in each process that makes clips; the other: in those that only look at
    files, which should be light.

    Raises ConfigError, before any work: settings, folders, disk, weights; later on CheckpointError:
    wrong weights, or MediaError: the disk is full, or an output cannot be written. What is finished
    stays.
    """
    found = checked_inputs(folder, output, settings, options, config)
    store.mark(output)
    with held(output / "run", shared=False):
        kept = Store(output, _identity(settings, config))
        kept.remove_parts()
        inputs = _inspected(found, pool, InspectWork(kept.inputs, set_up_inspection))
        unique = _unique(inputs)
        done = [(one, kept.finished(one)) for one in unique]
        todo = [one for one, record in done if record is None]
        seconds = sum(one.seconds for one in todo)
        room = _room(seconds, settings, options, [record for _, record in done if record], output)
        if options.check_disk:
            check_disk(output, room, shards=options.shard_bytes > 0)
        watcher.found(len(inputs), len(unique) - len(todo), seconds, room)
        todo.sort(key=lambda one: -one.seconds)  # the longest first, so that none is left alone
        work = SourceWork(config, settings, kept, set_up)
        try:
            with closing(pool(todo, work)) as events:
                failures = _worked(events, watcher)
        finally:
            kept.remove_own_parts()
        outcome = _gathered(inputs, unique, kept, failures)
        _write(outcome, settings, options, config, kept)
    return outcome


def checked_inputs(
    folder: Path, output: Path, settings: PreparationSettings, options: Options, config: Config
) -> list[Input]:
    """What there is to prepare. Raises ConfigError as prepare does, but for the disk; quick."""
    check(settings)
    if options.need_syncnet and not has_syncnet(config):
        remedy = "get them with the download command and --evaluation, or leave the flag out"
        raise ConfigError("--need_syncnet", "its weights are not here", remedy)
    check_output(folder, output)
    return find_inputs(folder)


def _identity(settings: PreparationSettings, config: Config) -> dict[str, object]:
    """See store.Store; of this machine."""
    plain = {name: getattr(settings, name) for name in settings.__slots__}
    return {"settings": plain, **identity_of(config)}


def _room(
    seconds: float,
    settings: PreparationSettings,
    options: Options,
    finished: Sequence[Record],
    output: Path,
) -> int:
    if not options.shard_bytes:
        return needed(seconds, settings)
    clips = (clip.path for record in finished for clip in record.clips)
    kept = sum(path.stat().st_size for path in clips if path.exists())
    return needed(seconds, settings, kept=kept, shards=outputs.bytes_of_shards(output))


def _inspected(found: Sequence[Input], pool: Pool, work: InspectWork) -> list[Input]:
    known: dict[str, Input] = {}
    for event in pool(found, work):
        if isinstance(event, Done):
            failed = replace(event.task, error=str(event.error), failed=True)
            known[event.task.name] = event.result or failed
    return [known[one.name] for one in found]


def _unique(inputs: Iterable[Input]) -> list[Input]:
    """The first of each content, of those that can be opened."""
    first: dict[str, Input] = {}
    for one in inputs:
        if not one.error:
            first.setdefault(one.sha256, one)
    return list(first.values())


def _worked(events: Events, watcher: Watcher) -> dict[str, str]:
    """Name of an input -> why the program failed on it."""
    failures: dict[str, str] = {}
    read: dict[str, float] = {}
    for event in events:
        name, seconds = event.task.name, event.task.seconds
        if isinstance(event, Advanced):
            more = min(event.seconds, seconds - read.get(name, 0.0))
            read[name] = read.get(name, 0.0) + more
            watcher.advanced(more)
            continue
        watcher.advanced(seconds - read.get(name, 0.0))
        if event.error is not None:
            failures[name] = " ".join(str(event.error).split())
        watcher.ended(event.task, failures.get(name))
    return failures


def _gathered(
    inputs: Sequence[Input], unique: Sequence[Input], kept: Store, failures: dict[str, str]
) -> Outcome:
    failed = len(failures) + sum(one.failed for one in inputs)
    outcome = Outcome(list(inputs), failed=failed, unused=kept.unused(list(inputs)))
    originals = {one.sha256: one.name for one in unique}
    for one in inputs:
        if one.error:
            verdict = FAILED if one.failed else DROPPED
            outcome.rows.append(_row(one, "readable", verdict, one.error))
        elif originals[one.sha256] != one.name:
            reason = f"the same content as {originals[one.sha256]}"
            outcome.rows.append(_row(one, "duplicate", DROPPED, reason))
        elif one.name in failures:
            outcome.rows.append(_row(one, "readable", FAILED, failures[one.name]))
        else:
            record = kept.finished(one)
            assert record is not None
            outcome.rows += record.rows
            outcome.clips += record.clips
    return outcome


def _row(one: Input, step: str, verdict: str, reason: str) -> Row:
    return Row("", one.name, 0.0, one.seconds, step, verdict, reason)


def _records(outcome: Outcome, kept: Store) -> list[Record]:
    used = {clip.source for clip in outcome.clips}
    found = (kept.finished(one) for one in outcome.inputs if one.name in used)
    return [one for one in found if one is not None]


def _write(
    outcome: Outcome,
    settings: PreparationSettings,
    options: Options,
    config: Config,
    kept: Store,
) -> None:
    output = kept.folder
    embedding = load_embedding(config.weights.folders)
    outcome.split = split(_records(outcome, kept), embedding, way=options.way, share=options.share)
    outputs.write_lists(outcome.clips, outcome.split, output)
    outcome.shards = outputs.write_shards(
        outcome.clips,
        outcome.split,
        output,
        resolution=settings.resolution,
        most=options.shard_bytes,
    )
    write_table(outcome.rows, output)
    write_overview(outcome.rows, outcome.clips, outcome.split, kept, output)
