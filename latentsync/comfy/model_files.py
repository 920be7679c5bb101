"""Weights as the nodes offer them: which are here, which would be fetched, which licence they have.

They are searched below every folder that ComfyUI has for models, extra_model_paths.yaml included,
besides the project's own places. Imports neither torch nor OpenVINO.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path

import folder_paths

from latentsync.errors import CheckpointError, ConfigError
from latentsync.pipeline.generator_versions import NAME, Version, named_versions
from latentsync.pipeline.requirements import licences_wanted, missing_weights, weights_wanted
from latentsync.restoration.base import RESTORERS
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.weights import licences
from latentsync.weights.find import is_here
from latentsync.weights.known_licences import LICENCES_TO_ACCEPT
from latentsync.weights.model_file import Licence, ModelFile, described, readable

AUTO = "auto"
"""The first version of the table whose weights are here."""
NO_RESTORER = "none"
KEPT = 10
"""Seconds for which it is remembered what is here: ComfyUI asks for a node's inputs often."""
_TO_FETCH = " ("  # between a name and what is to be fetched for it
_NOT_MODELS = {"custom_nodes", "datasets"}


def model_folders() -> list[str]:
    """Every folder of ComfyUI for models, without those inside another one."""
    listed = [
        str(Path(folder).resolve())
        for name, (folders, *_) in folder_paths.folder_names_and_paths.items()
        if name not in _NOT_MODELS
        for folder in folders
    ]
    every = dict.fromkeys([str(Path(folder_paths.models_dir).resolve()), *listed])
    return [one for one in every if not any(Path(other) in Path(one).parents for other in every)]


@cache
def generators() -> dict[str, Version]:
    """Option -> generator with a version of its weights."""
    return named_versions()


def generator_options() -> list[str]:
    """auto, and each generator with what would be fetched for it."""
    return [AUTO, *(_labelled(name, _missing_of(name)) for name in generators())]


def restorer_options() -> list[str]:
    return [_labelled(name, _missing_of(name)) for name in (*RESTORERS, NO_RESTORER)]


def chosen_generator(option: str) -> Version:
    """The generator that an option stands for. Raises ConfigError."""
    name = _named("generator", option, (AUTO, *generators()))
    if name == AUTO:
        name = next(one for one in generators() if not _missing_of(one))  # replay has no weights
    return generators()[name]


def chosen_restorer(option: str) -> str:
    """The restorer that an option stands for: no module, as a page may be open to others.

    Raises ConfigError.
    """
    return _named("restorer", option, (*RESTORERS, NO_RESTORER))


def weights_note(names: Iterable[str]) -> str:
    """What is here and what would be fetched, a line for each of these that has weights."""
    return "".join(f"\n{_sentence(name)}" for name in names if _files_of(name))


def licences_note() -> str:
    """The licences that have to be accepted, a line for each."""
    return "\n".join(f"{one.ask_as}: {one}. {one.url}" for one in LICENCES_TO_ACCEPT.values())


def accept_licences(config: Config, *, speech: bool, accepted: bool) -> None:
    """Stores that the licences of these settings' weights were accepted, if the user has said so.

    Raises ConfigError otherwise.
    """
    files = [model for model, _ in weights_wanted(config, speech=speech)]
    check_licences([*(one.licence for one in files), *licences_wanted(config)], accepted=accepted)


def check_licences(wanted: Iterable[Licence], *, accepted: bool) -> None:
    """See accept_licences."""
    asked = licences.unaccepted(wanted)
    if asked and not accepted:
        named = "; ".join(f"{one.ask_as}: {one}" for one in asked)
        remedy = "if it allows your use, tick accept_licences in the node"
        raise ConfigError("a licence has not been accepted", named, remedy)
    licences.accept(one.ask_as for one in asked)


def check_here(config: Config, *, speech: bool) -> None:
    """Raises CheckpointError where weights are missing that are not small."""
    missing = [model for model in missing_weights(config, speech=speech) if not model.is_small]
    if missing:
        remedy = "tick fetch_weights in the node, or choose what needs none: Detail, replay"
        raise CheckpointError("weights are missing", described(missing), remedy)


def _named(what: str, option: str, known: Sequence[str]) -> str:
    """The name in an option. What is to be fetched changes, so a saved option may be outdated."""
    name = option.partition(_TO_FETCH)[0].strip()
    for one in known:
        if one.lower() == name.lower():
            return one
    raise ConfigError(what, name, f"use one of {', '.join(known)}")


def _labelled(name: str, missing: Sequence[ModelFile]) -> str:
    if not missing:
        return name
    return f"{name}{_TO_FETCH}{readable(sum(one.bytes for one in missing))} to fetch)"


def _sentence(name: str) -> str:
    missing = _missing_of(name)
    names = ", ".join(dict.fromkeys(str(one.licence) for one in _files_of(name)))
    state = f"to be fetched: {described(missing)}" if missing else f"installed, licence: {names}"
    return f"{name}: {state}."


def _missing_of(name: str) -> list[ModelFile]:
    here = _here(int(time.monotonic() / KEPT))
    return [model for model in _files_of(name) if model.key not in here]


@lru_cache(maxsize=1)
def _here(_moment: int) -> frozenset[str]:
    """Keys of the files that are here."""
    folders = model_folders()
    files = {one for name in (*generators(), *RESTORERS) for one in _files_of(name)}
    return frozenset(one.key for one in files if is_here(one, folders))


@cache
def _files_of(name: str) -> tuple[ModelFile, ...]:
    """The published files that a generator or a restorer needs; small ones are not asked about."""
    generator = generators().get(name)
    if generator is None:
        config = load_config(flags={"restore.name": name})
    else:
        config = load_config(generator.settings, flags={NAME: generator.name})
    wanted = weights_wanted(config, speech=generator is not None)
    return tuple(model for model, _ in wanted if not model.is_small)
