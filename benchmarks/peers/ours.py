"""Restoration by this project: its own session over the video, as the command runs it."""

from __future__ import annotations

import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import networks
from benchmarks.peers.clips import CLIPS
from benchmarks.peers.contestant import NETWORK, Contestant, Setup, all_in, around
from benchmarks.ready import ready_engine
from benchmarks.restorers import checkpoint
from GFPGAN.restorer import USUAL
from latentsync.generate.base import LipGenerator
from latentsync.generate.table import GeneratorKind
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.restoration.base import Restorer, Windowed
from latentsync.settings.load import load_config
from latentsync.types import Chunk

SETTINGS = ("restore.when=always", "restore.strength=1", "output.overwrite=true")
"""Every mouth at full strength. strength=auto, the default, restores four more mouths, once for a
video: with a few frames these would be most of the time."""


class Unchanged:
    """See latentsync.restoration.base.Restorer: in the place of a network that takes no time."""

    name = "unchanged"
    size: int | None = networks.SIDE

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        return faces.clone()


def load_unchanged(_config: Any, _execution: Any) -> Restorer:
    return Unchanged()


def process(engine: Engine, path: Path) -> int:
    """All frames of the file: both passes. Returns their number."""
    with Session(engine, path) as session:
        return sum(1 for _ in session.frames())


def _engine(name: str, region: str, *more: str) -> Engine:
    settings = [*SETTINGS, f"restore.name={name}", f"restore.region={region}", *more]
    return ready_engine(load_config(None, settings))


def _contestant(setup: Setup, name: str, file: str, region: str) -> Contestant:
    plain = _engine("benchmarks.peers.ours:load_unchanged", region)
    real = _engine(name, region, f"restore.checkpoint={checkpoint(setup.folder, file)}")
    restorer, one = real.restorer, networks.one_face()
    assert restorer is not None
    if isinstance(restorer, Windowed):
        restorer = restorer.within(USUAL[region])
    network = partial(lambda run: len(run(one)), restorer)
    work: dict[str, Callable[[], int]] = {NETWORK: network}
    for clip in CLIPS:
        short, long = (clip.path(setup.folder, n) for n in (clip.restored, clip.plain))
        work[around(clip.name)] = partial(process, plain, long)
        work[all_in(clip.name)] = partial(process, real, short)
    about = f"restore.name={name}, restore.region={region}: {real.execution}"
    return Contestant(about, work)


def gfpgan(setup: Setup) -> Contestant:
    return _contestant(setup, "GFPGAN", "gfpgan_v14", "mouth")


def gfpgan_face(setup: Setup) -> Contestant:
    """The face as far as a mask shows it, as the peers restore it."""
    return _contestant(setup, "GFPGAN", "gfpgan_v14", "face")


def codeformer(setup: Setup) -> Contestant:
    return _contestant(setup, "CodeFormer", "codeformer", "mouth")


class UnchangedMouths:
    """See latentsync.generate.base.LipGenerator: in the place of networks that take no time."""

    name, size, chunk_frames, audio = "unchanged", 256, 16, None

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        return chunk.crops.clone()


def _load_mouths(_config: Any, _execution: Any, *, mask: np.ndarray) -> LipGenerator:  # noqa: ARG001
    return UnchangedMouths()


MOUTHS = GeneratorKind(_load_mouths, size=lambda _config: UnchangedMouths.size, network=False)


def write_noise(path: Path, seconds: float) -> None:
    """A sound file as loud as speech, 16 kHz mono."""
    samples = np.random.default_rng(0).normal(0, 3000, round(seconds * 16000))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.astype("<i2").tobytes())


def lipsynced(engine: Engine, path: Path, audio: Path) -> int:
    """The file with new mouths, as a session makes them. Returns the number of frames."""
    with Session(engine, path, audio=audio) as session:
        return sum(1 for _ in session.frames())


def lipsync_engine() -> Engine:
    """Everything of lip-sync but its networks."""
    settings = ["generate.name=benchmarks.peers.ours:MOUTHS", "restore.when=never"]
    return ready_engine(load_config(None, settings), speech=True)
