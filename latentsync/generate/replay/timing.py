"""What the time of replay is estimated from; selecting and reading mouths costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from latentsync.generate.model_spec import face_model
from latentsync.generate.replay.head_pose import MOUTH, RESTING, placement
from latentsync.generate.replay.transplant import Mouth, Transplanter
from latentsync.generate.timing import Sample, Trial
from latentsync.geometry import points_to_aligned

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config


def trials(config: Config, _execution: Execution, sample: Sample) -> list[Trial]:
    """The frame's own mouth, transplanted into it."""
    side, face = face_model(config).resolution, sample.face
    points = points_to_aligned(face.landmarks[None], face.matrix[None])[0]
    mouth, rest = points[list(MOUTH)], points[list(RESTING)]
    transplant = Transplanter(sample.mask(side))

    def generate() -> None:
        crop = sample.crop(side)
        pixels = ((crop + 1) * 127.5).to(torch.uint8).permute(1, 2, 0).numpy()
        transplant(crop, mouth, rest, [Mouth(pixels, mouth, placement(rest, rest))])

    return [Trial(generate, 1)]
