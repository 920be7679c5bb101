"""A generator of its own, as a plug-in of one file: it paints the mouth, louder speech brighter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from latentsync.errors import ConfigError
from latentsync.generate.table import GeneratorKind
from latentsync.generate.timing import Sample, Trial
from latentsync.geometry import points_to_aligned
from latentsync.types import Alignment, Chunk

SIZE, EDGE = 64, 8
MOUTH_LEFT, CHIN = 6, 10  # places in Alignment.landmarks


class Painter:
    """See latentsync.generate.base.LipGenerator and Boxed."""

    name, size, chunk_frames = "painter", SIZE, 4
    audio = "cepstra"
    network = False

    def __init__(self) -> None:
        self.mask = np.zeros((SIZE, SIZE), np.float32)
        self.mask[EDGE:-EDGE, EDGE:-EDGE] = 1

    def box(self, faces: Sequence[Alignment]) -> tuple[float, float, float, float]:
        matrices = np.stack([one.matrix for one in faces])
        points = points_to_aligned(np.stack([one.landmarks for one in faces]), matrices)
        (x, y), (_, chin) = np.median(points[:, [MOUTH_LEFT, CHIN]], axis=0)
        return x - 30, y - 60, x + 180, chin

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        loudness = torch.sigmoid(chunk.audio[:, 0, 0])
        return torch.ones_like(chunk.crops) * loudness[:, None, None, None]


def check(config, *, still: bool) -> None:
    if config.generate.seed < 0:
        raise ConfigError("generate.seed", config.generate.seed, "the painter wants it known")


def trials(_config, _execution, sample: Sample) -> list[Trial]:
    crop = sample.crop(SIZE)
    return [Trial(lambda: torch.ones_like(crop), 1)]


KIND = GeneratorKind(
    lambda _config, _execution, *, mask: Painter(),
    size=lambda _config: SIZE,
    check=check,
    described=lambda _config: "a painter",
    trials=trials,
    network=False,
)
