"""Where a weights file lies on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentsync.errors import CheckpointError
from latentsync.weights.manifest import ModelFile

PROJECT_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the latentsync package


def find(
    model: ModelFile, explicit: str | None = None, *, roots: Sequence[Path] | None = None
) -> Path:
    """The file that `explicit` names, itself or by its folder, else the first of the model's places
    that exists.

    roots: folders that the places are relative to, in order; None: the current folder, then the
    project's own. Raises CheckpointError where there is no such file, saying what to download and
    where to put it.
    """
    if explicit is not None:
        return _named(explicit, model)
    searched = (Path.cwd(), PROJECT_ROOT) if roots is None else roots
    for root in searched:
        for place in model.places:
            if (root / place).is_file():
                return root / place
    raise CheckpointError(f"weights of {model.key} not found", model.filename, _remedy(model))


def find_all(
    wanted: Sequence[tuple[ModelFile, str | None]], *, roots: Sequence[Path] | None = None
) -> list[Path]:
    """What `find` gives for each pair of a model and `explicit`, in order.

    Raises CheckpointError naming everything that is missing at once.
    """
    found, errors = [], []
    for model, explicit in wanted:
        try:
            found.append(find(model, explicit, roots=roots))
        except CheckpointError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        first, *others = errors
        remedies = [first.remedy, *map(str, others)]
        raise CheckpointError(first.what, first.value, ". Also, ".join(remedies))
    return found


def _named(explicit: str, model: ModelFile) -> Path:
    path = Path(explicit).expanduser()
    for file in (path, path / model.filename):
        if file.is_file():
            return file
    raise CheckpointError(f"{model.setting} names no file", explicit, _remedy(model))


def _remedy(model: ModelFile) -> str:
    return (
        f"download {model.source} ({model.size}, licence: {model.licence}) "
        f"and put it at {model.places[0]}, or set {model.setting} to its path"
    )
