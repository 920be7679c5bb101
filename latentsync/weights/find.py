"""Finds weights files on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from latentsync import places
from latentsync.errors import CheckpointError
from latentsync.weights import hub, wheel
from latentsync.weights.manifest import MODEL_FILES
from latentsync.weights.model_file import HubFile, ModelFile, WheelFile, readable

PROJECT_ROOT = places.weights_root()
FOLDERS_VARIABLE = "LATENTSYNC_CHECKPOINTS"
CONVERTED = ".safetensors"
DEPTH = 5  # levels of subfolders that are searched, e.g. ComfyUI/models/facerestore_models


def find(
    model: ModelFile, explicit: str | None = None, *, folders: Sequence[str | Path] = ()
) -> Path:
    """The file that `explicit` names, itself or by its folder, else the first one found.

    Searched in order: the model's places in the current folder, and in the checkout or the user's
    data folder; `folders` and those in $LATENTSYNC_CHECKPOINTS, by name, and their subfolders by
    name and size; an installed package that holds it, by its hash; the hub's cache. A converted
    file beside it is preferred. Raises CheckpointError where there is no such file, with the ways
    to get it.
    """
    if explicit is not None:
        return _named(explicit, model)
    for path in _candidates(model, folders):
        return _preferred(path)
    raise CheckpointError(f"weights of {model.key} not found", model.filename, _remedy(model))


def find_all(
    wanted: Sequence[tuple[ModelFile, str | None]], *, folders: Sequence[str | Path] = ()
) -> list[Path]:
    """The result of `find` for each pair of a model and `explicit`, in order.

    Raises one CheckpointError naming all missing files.
    """
    found, missing, errors = [], [], []
    for model, explicit in wanted:
        try:
            found.append(find(model, explicit, folders=folders))
        except CheckpointError as error:
            errors.append(error)
            missing.append(model)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise CheckpointError("weights not found", _listed(wanted, missing), _remedy(*missing))
    return found


def is_here(model: ModelFile, folders: Sequence[str | Path] = ()) -> bool:
    """Whether the file is on this machine; see find()."""
    try:
        find(model, folders=folders)
    except CheckpointError:
        return False
    return True


def recommended_place(model: ModelFile) -> Path:
    """Where a downloaded file is stored, if not in the hub's cache."""
    pointed_at = _pointed_at(())
    return pointed_at[0] / model.filename if pointed_at else PROJECT_ROOT / model.places[0]


def converted_path(path: Path) -> Path:
    """The path of the converted copy of a PyTorch file."""
    return path.with_suffix(CONVERTED)


def _candidates(model: ModelFile, folders: Sequence[str | Path]) -> Iterator[Path]:
    pointed_at = _pointed_at(folders)
    names = (model.filename, *model.aliases)
    for root in (Path.cwd(), PROJECT_ROOT):
        yield from _present(model, [root / place for place in model.places])
    for folder in pointed_at:
        yield from _present(model, [folder / name for name in (*names, *model.places)])
    for folder in pointed_at:
        yield from (path for path in _below(folder, names) if path.stat().st_size == model.bytes)
    for source in model.sources:
        path = None
        if isinstance(source, WheelFile):
            path = wheel.installed(source, size=model.bytes, sha256=model.sha256)
        elif isinstance(source, HubFile):
            path = hub.cached(source.repo, source.filename, size=model.bytes, sha256=model.sha256)
        if path is not None:
            yield path


def _pointed_at(folders: Sequence[str | Path]) -> list[Path]:
    listed = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [Path(folder).expanduser() for folder in (*folders, *filter(None, listed))]


def _present(model: ModelFile, paths: Sequence[Path]) -> Iterator[Path]:
    """Existing files, converted or not, except those with the size of another published file."""
    others = {
        other.bytes
        for other in MODEL_FILES.values()
        if other.filename == model.filename and other.key != model.key
    }
    for path in paths:
        if path.is_file():
            if path.stat().st_size not in others:
                yield path
        elif converted_path(path).is_file():
            yield converted_path(path)


def _below(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    base = len(folder.parts)
    for place, inner, files in os.walk(folder):
        inner.sort()
        if len(Path(place).parts) - base >= DEPTH:
            inner.clear()
        yield from (Path(place) / name for name in names if name in files)


def _preferred(path: Path) -> Path:
    """The converted file beside it, if it is not older: it loads faster and holds no code."""
    converted = converted_path(path)
    if converted == path or not converted.is_file():
        return path
    return converted if converted.stat().st_mtime >= path.stat().st_mtime else path


def _named(explicit: str, model: ModelFile) -> Path:
    path = Path(explicit).expanduser()
    for file in (path, *(path / name for name in (model.filename, *model.aliases))):
        if file.is_file():
            return _preferred(file)
    raise CheckpointError(f"{model.setting}: no such file", explicit, _remedy(model))


def _listed(wanted: Sequence[tuple[ModelFile, str | None]], missing: Sequence[ModelFile]) -> str:
    named = {model.key: explicit for model, explicit in wanted}
    return ", ".join(
        f"{model.setting}={named[model.key]}"
        if named[model.key]
        else f"{model.key} ({model.filename})"
        for model in missing
    )


def _remedy(*models: ModelFile) -> str:
    by_hand = [model for model in models if not model.sources]
    if by_hand:
        gets = (f"get {m.filename} from {m.home} and put it at {m.places[0]}" for m in by_hand)
        others = [model for model in models if model.sources]
        return "; ".join([*gets, *([_remedy(*others)] if others else [])])
    total = readable(sum(model.bytes for model in models))
    licences = ", ".join(dict.fromkeys(str(model.licence) for model in models))
    homes = ", ".join(model.places[0] for model in models)
    settings = ", ".join(dict.fromkeys(model.setting for model in models))
    return (
        f"{places.command('download')}, with the same --config and --superres, downloads what is "
        f"missing ({total}, licence: {licences}); "
        f"or put it at {homes}, or set {settings}"
    )
