"""The settings of a job, from what a user asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError, MediaError
from latentsync.generate.table import DEFAULT, GENERATORS, kind_of
from latentsync.pipeline.generator_versions import NAME, Version, versions
from latentsync.pipeline.purpose import check_picture, check_purpose
from latentsync.server.errors import ApiError
from latentsync.server.files.uploads import Files
from latentsync.server.jobs.outside import as_api_error, check_speaker, checked, configured
from latentsync.server.quick.generators import all_here
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest
from latentsync.settings.schema import Config
from latentsync.settings.seeds import new_seed, with_seed

RESULT = "result"
"""Of a job's output, before the suffix."""


@dataclass(frozen=True, slots=True)
class Configured:
    """note: what the user is to know of the choices that were made; None: nothing."""

    config: Config
    note: str | None = None


def configure(
    request: JobRequest, files: Files, folder: Path, server: ServerSettings
) -> Configured:
    """The settings of a job whose output is in that folder.

    Raises ApiError (422): a file, a setting or a combination that is not possible.
    """
    files.check()
    given = checked(request.settings)
    if request.speaker is not None:
        check_speaker(request.speaker, "speaker")
        given["face.speaker"] = request.speaker
    flags = {**given, **_of_the_server(request, files, folder, server)}
    made = _with_generator(flags, files, chosen=NAME in given)
    try:
        check_purpose(made.config)
        if files.pictured and made.config.speech:
            check_picture(made.config)
    except ConfigError as error:
        raise as_api_error(error) from error
    except MediaError as error:
        raise ApiError(422, "unreadable", f"reference: {error.what}", "reference") from error
    return replace(made, config=with_seed(made.config, new_seed()))


def _of_the_server(
    request: JobRequest, files: Files, folder: Path, server: ServerSettings
) -> dict[str, Any]:
    is_picture = files.pictured and files.audio is None
    return {
        "input.video": str(files.video.path),
        "input.audio": None if files.audio is None else str(files.audio.path),
        "restore.reference": None if files.reference is None else str(files.reference.path),
        "output.path": str(folder / f"{RESULT}{'.png' if is_picture else '.mp4'}"),
        "output.evaluate": request.evaluate and not is_picture,
        "output.report": True,
        "weights.offline": server.offline,
        "runtime.device": server.device,
    }


def _with_generator(flags: Mapping[str, Any], files: Files, *, chosen: bool) -> Configured:
    """New speech: by the generator that the user has chosen, else the first of the table that can
    be used. Where none can, the first is named, and its weights are found missing later."""
    if files.audio is None:
        return Configured(configured(None, flags))
    names = [flags[NAME]] if chosen else [*GENERATORS]
    possible = [one for name in names for one in versions(name)]
    found = next((one for one in possible if _can_be_used(one, flags, files)), possible[0])
    note = None if chosen or found.name == DEFAULT else _instead(found.name)
    return Configured(_config(found, flags), note)


def _can_be_used(version: Version, flags: Mapping[str, Any], files: Files) -> bool:
    if not all_here(version):
        return False
    config = _config(version, flags)
    try:
        kind_of(version.name).check(config, still=files.pictured)
    except ConfigError:
        return False
    return True


def _config(version: Version, flags: Mapping[str, Any]) -> Config:
    """The default one is not named: a preset may name another."""
    name = {} if version.name == DEFAULT else {NAME: version.name}
    return configured(version.settings, {**name, **flags})


def _instead(name: str) -> str:
    """Why it is this generator."""
    kind, before = kind_of(name), takewhile(lambda one: one != name, GENERATORS)
    missing = " and ".join(kind_of(one).title for one in before)
    return f"{kind.title} makes the mouths ({kind.about}), as the weights of {missing} are not here"
