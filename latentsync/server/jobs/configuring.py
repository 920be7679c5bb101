"""The settings of a job, from what a user asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError, MediaError
from latentsync.pipeline.purpose import check_picture, check_purpose
from latentsync.server.errors import ApiError
from latentsync.server.files.uploads import Files
from latentsync.server.jobs.outside import as_api_error, check_speaker, checked, configured
from latentsync.server.quick.weights import LATENTSYNC, generator_is_here
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest
from latentsync.settings.schema import Config
from latentsync.settings.seeds import new_seed, with_seed

RESULT = "result"
"""Of a job's output, before the suffix."""
_REPLAYED = (
    "the mouths are taken from the video itself (replay), as LatentSync's weights are not here"
)


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
    made = _with_generator(flags, files, chosen="generate.name" in given)
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
    """New speech: LatentSync where its weights are, else replay, unless the user has chosen."""
    if files.audio is None or (chosen and flags["generate.name"].lower() != "latentsync"):
        return Configured(configured(None, flags))
    here = next((name for name in LATENTSYNC if generator_is_here(name)), None)
    if here is not None or chosen or files.pictured:  # a picture has no other mouths
        return Configured(configured(Path(here or LATENTSYNC[0]), flags))
    return Configured(configured(None, {**flags, "generate.name": "replay"}), _REPLAYED)
