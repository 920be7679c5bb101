"""The uses of the project as functions: one video in, one video out, and how good it is.

    import latentsync

    latentsync.restore("lipsynced.mp4", "out.mp4", superres="GFPGAN")
    report = latentsync.lipsync("me.mp4", "new.wav", "out.mp4", generator="replay")
    evaluation = latentsync.judge("out.mp4", "me.mp4")

Each call loads its models again; for many videos make one Engine and a Session for each of them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError
from latentsync.evaluate.files import evaluation_path, write_evaluation
from latentsync.evaluate.job import render_and_judge
from latentsync.evaluate.judge import case_of
from latentsync.evaluate.judge import judge as judge_case
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.generate.table import WITHOUT_WEIGHTS
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import prepare
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.weights.ensure import consent_to_all
from latentsync.weights.model_file import ModelFile
from latentsync.weights.refusal import generates, refusal

SHORT = {
    "superres": "restore.name",
    "reference": "restore.reference",
    "generator": "generate.name",
    "device": "runtime.device",
    "overwrite": "output.overwrite",
    "preset": "preset",
    "compat": "compat",
}
"""Short names of settings, as the command's flags are called."""
OF_WEIGHTS = ("restore", "generate", "weights", "model", "data")
"""Sections of the settings that determine which weights are needed."""


def restore(
    video: str | Path,
    output: str | Path,
    *,
    config: str | Path | None = None,
    download: bool = False,
    progress: Progress = no_progress,
    **settings: Any,
) -> dict[str, Any]:
    """Writes the video with blurry mouths restored. Returns the report.

    video: or a picture. output: .mp4, .m4v, .mov, .mkv or .webm; of a picture .png, .jpg, .webp,
    .tif or .bmp. config: a YAML file of settings, or the name of a shipped one; any speech that it
    names is ignored. settings: override the file; their keys with ``__`` for the
    dot (``restore__name="GFPGAN"``, ``output__crf=14``), or a name in SHORT (``superres``,
    ``overwrite``, ...); None: not given. download: downloads missing weights of more than 10 MB,
    too; smaller ones, as the models that find faces, are downloaded unless ``weights__offline``.
    progress: see pipeline.progress.
    Raises ConfigError: an unknown setting, a value that is not allowed, an output that exists
    already, a licence that was not accepted. CheckpointError: missing weights, with their size and
    the download command. MediaError: a file that cannot be read or written. FaceNotFoundError.
    After an error no new file is left.
    """
    files = {"input.video": video, "input.audio": None, "output.path": output}
    return _made(files, config, settings, download=download, progress=progress)


def lipsync(
    video: str | Path,
    audio: str | Path | Sequence[Mapping[str, Any]],
    output: str | Path,
    *,
    config: str | Path | None = None,
    download: bool = False,
    progress: Progress = no_progress,
    **settings: Any,
) -> dict[str, Any]:
    """Writes the video with mouths generated for the speech, restored where they are blurry.

    audio: an audio file, or a video whose audio is taken; for several speakers a list of entries
    with speaker, audio, start, end and offset, as in the settings. All else: see restore().
    The default generator needs 5.5 GB of weights; ``generator="replay"`` needs none.
    """
    files: dict[str, str | Path | None] = {"input.video": video, "output.path": output}
    if isinstance(audio, str | Path):
        files["input.audio"], speakers = audio, []
    else:
        files["input.audio"] = None
        speakers = [{k: _plain(v) for k, v in entry.items()} for entry in audio]
    return _made(files, config, settings, speakers=speakers, download=download, progress=progress)


def judge(
    result: str | Path,
    source: str | Path | None = None,
    *,
    audio: str | Path | None = None,
    progress: Progress = no_progress,
    **settings: Any,
) -> dict[str, Any]:
    """How good a finished video is: the evaluation, see docs/evaluation.md. Writes nothing.

    source: what it was made from; None: what the job's report beside it names, if there is one.
    audio: what the lips are to follow; None: the result's own. settings: as of restore(), such as
    ``face__speaker``. Raises MediaError, FaceNotFoundError, ConfigError and CheckpointError.
    """
    config = load_config(None, flags=_by_key(settings))
    beside, speech = (None if one is None else Path(one) for one in (source, audio))
    case = case_of(Path(result), beside, speech)
    return judge_case(evaluation_engine(config), case, progress=progress).evaluation


def _made(
    files: Mapping[str, str | Path | None],
    path: str | Path | None,
    settings: Mapping[str, Any],
    *,
    speakers: Sequence[Mapping[str, Any]] = (),
    download: bool,
    progress: Progress,
) -> dict[str, Any]:
    given = _by_key(settings)
    for key in files.keys() & given.keys():
        remedy = "call restore(video, output) or lipsync(video, audio, output)"
        raise ConfigError(f"{key} is an argument here, not a setting", given[key], remedy)
    named = {k: "" if v is None else _plain(v) for k, v in files.items()}
    config = load_config(path, flags={**given, **named, "speakers": list(speakers)})
    if files["input.audio"] is None:
        config = replace(config, input=replace(config.input, audio=None))

    def refuse(missing: Sequence[ModelFile]) -> None:
        arguments = _download(path, given, speech=config.speech)
        raise refusal(missing, arguments, or_else=_or_else(missing))

    job = prepare(config, consent=consent_to_all if download else refuse)
    with Session(Engine(config), job.source, audio=job.audio) as session:
        if not config.output.evaluate or job.output.picture is not None:
            return session.render(job.output, progress)
        report, _, found = render_and_judge(session, job.output, progress)
    write_evaluation(found.evaluation, evaluation_path(job.output.target))
    return report


def _by_key(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value. Raises ConfigError: a misspelt short name, a key given twice."""
    given: dict[str, Any] = {}
    for name, value in settings.items():
        if value is None:
            continue
        close = [] if "__" in name else difflib.get_close_matches(name, SHORT, n=1, cutoff=0.75)
        if close and name not in SHORT:
            raise ConfigError("unknown setting", name, f"did you mean {close[0]}?")
        key = SHORT.get(name, name.replace("__", "."))
        if key in given:
            raise ConfigError(key, value, f"it is given twice; leave out {name}")
        given[key] = _plain(value)
    return given


def _plain(value: Any) -> Any:
    """Paths as text, as settings hold them."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _download(path: str | Path | None, given: Mapping[str, Any], *, speech: bool) -> list[str]:
    """Arguments of the command that downloads what these settings need, and no more."""
    chosen = {key: value for key, value in given.items() if key.split(".")[0] in OF_WEIGHTS}
    if not speech:
        chosen["generate.name"] = WITHOUT_WEIGHTS
    named = [f"{key}={value}" for key, value in chosen.items()]
    return named if path is None else ["--config", os.fspath(path), *named]


def _or_else(missing: Sequence[ModelFile]) -> str:
    remedy = "pass download=True"
    other = f'; generator="{WITHOUT_WEIGHTS}" needs no such weights'
    return remedy + other if generates(missing) else remedy
