"""Faces of videos as a restorer gets them: examples for what is adapted to a user's footage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from latentsync.errors import MediaError
from latentsync.face.speaker_choice import ALL
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.session import Session

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config, RestoreConfig

SIZE = 512  # of the restorers' squares


class Recorder:
    """A restorer that keeps its inputs and changes nothing."""

    name = "recorder"
    size: int | None = SIZE

    def __init__(self) -> None:
        self.faces: list[Tensor] = []

    def __call__(self, faces: Tensor) -> Tensor:
        self.faces.append(faces.detach().to("cpu", torch.float32).clone())
        return faces


def load(_config: RestoreConfig, _execution: Execution) -> Recorder:
    return Recorder()


def crops_of(
    config: Config, videos: Sequence[Path], each: int, progress: Progress = no_progress
) -> list[Tensor]:
    """For each video (N, 3, SIZE, SIZE) float32 RGB [-1, 1]: the squares of its people's faces, N
    up to `each`, spread evenly over the video.

    config: how faces are found. Raises MediaError where a video cannot be read or no face is found.
    """
    restore = replace(
        config.restore,
        name=f"{__name__}:load",
        when="always",
        strength=1.0,
        reuse=0.0,
        checkpoint=None,
        reference=None,
    )
    face = replace(config.face, speaker=config.face.speaker or ALL)
    config = replace(config, restore=restore, face=face, speakers=[])
    engine, crops = Engine(config), []
    for video in videos:
        recorder = Recorder()
        engine.restorer = recorder
        with Session(engine, video) as session:
            plan = session.make_plan(progress)
            for index in spread(np.flatnonzero(plan.changes), each):
                session.preview([int(index)])
        faces = torch.cat(recorder.faces) if recorder.faces else torch.zeros(0)
        if not len(faces):
            raise MediaError("no mouth to take as an example in", video, "choose another video")
        crops.append(faces[spread(np.arange(len(faces)), each)])
    return crops


def spread(values: np.ndarray, count: int) -> np.ndarray:
    """At most so many of them, evenly over all."""
    chosen = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    return values[chosen]
