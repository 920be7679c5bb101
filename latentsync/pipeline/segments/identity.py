"""What a result depends on, so that work of an earlier run is only used where it is the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync.places import PACKAGE
from latentsync.plugins import sources
from latentsync.settings.paths import INPUT_FILES
from latentsync.weights import record

if TYPE_CHECKING:
    from latentsync.pipeline.engine import Engine
    from latentsync.pipeline.job import Job
    from latentsync.settings.schema import Config

SAMPLES, SAMPLE = 16, 1 << 20
"""Places of a file that are compared, and bytes at each; every frame is checked again when it is
decoded."""
_OF_THE_FILES = ("path", "overwrite", "report")  # of the output: they change no frame
_OF_THE_MACHINE = (("runtime", "threads"), ("restore", "batch"), ("generate", "vae_batch"))
_PARTS = {
    "source": "the video",
    "audio": "the speech",
    "reference": "another video that is used",
    "seed": "the seed",
    "settings": "the settings",
    "models": "the weights",
    "encoder": "the encoder",
    "code": "this program",
    "plugins": "the code of a plug-in",
}
"""Part of an identity -> what to call it."""


def identity_of(job: Job, engine: Engine) -> dict[str, str]:
    """For each part a hash; the seed as it is. Reads some megabytes of each file."""
    config = job.config
    speeches = [one.audio for one in config.speakers] or [config.input.audio]
    others = (config.restore.reference, config.generate.replay.source)
    return {
        "source": file_hash(job.source.path),
        "audio": _hash([file_hash(Path(one)) for one in speeches if one]),
        "reference": _hash([one and file_hash(Path(one)) for one in others]),
        "seed": str(config.generate.seed),
        "settings": settings_hash(config),
        "models": _hash(_models(engine, speaks=job.audio is not None)),
        "encoder": _hash([dataclasses.asdict(job.output.settings), list(job.output.size)]),
        "code": code_hash(),
        "plugins": plugins_hash(config),
    }


def settings_hash(config: Config) -> str:
    """Of what a frame may depend on, but for the seed and what counts by its contents."""
    settings = dataclasses.asdict(config)
    for name in _OF_THE_FILES:
        settings["output"].pop(name)
    for section, name in _OF_THE_MACHINE:
        settings[section].pop(name)
    for key in INPUT_FILES:
        *sections, name = key.split(".")
        reduce(getitem, sections, settings).pop(name)
    for one in settings["speakers"]:
        one.pop("audio")
    settings["generate"].pop("seed")
    return _hash(settings)


def differences(now: Mapping[str, str], then: Mapping[str, Any]) -> list[str]:
    """What is not the same, in words."""
    return [words for part, words in _PARTS.items() if now.get(part) != then.get(part)]


def file_hash(path: Path) -> str:
    """Of its length and of SAMPLES places, spread evenly."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for number in range(SAMPLES):
            file.seek(max(0, size - SAMPLE) * number // (SAMPLES - 1))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()


@cache
def code_hash() -> str:
    """Of this program's files."""
    root = PACKAGE.parent
    folders = [PACKAGE, *(root / name for name in ("GFPGAN", "CodeFormer"))]
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def plugins_hash(config: Config) -> str:
    """Of the files of the user's own plug-ins."""
    face, output = config.face.detector, config.output.watermark
    names = (config.restore.name, config.generate.name, face, output)
    files = sorted({path for name in names for path in sources(name)})
    return _hash([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])


def _models(engine: Engine, *, speaks: bool) -> list[Any]:
    """Names of what is loaded, and the contents of all weights files, whatever they are called."""
    loaded: list[Any] = [engine.restorer]
    encoder: tuple[Path, ...] = ()
    if speaks:
        loaded.append(engine.lipsync.generator)
        encoder = engine.lipsync.encoder_files
    names = [getattr(one, "name", None) for one in loaded]
    in_int8 = [note.graph for note in getattr(engine.restorer, "in_int8", {}).values()]
    files = [Path(path) for one in loaded for path in _files(one)]
    return [*names, *in_int8, *(record.sha256(path) for path in (*files, *encoder))]


def _files(model: Any) -> list[Any]:
    """The weights files of a generator or a restorer."""
    checkpoint = getattr(model, "checkpoint", None)
    return list(getattr(model, "files", ()) or ([] if checkpoint is None else [checkpoint]))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
