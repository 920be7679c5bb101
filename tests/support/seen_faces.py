"""Made-up faces whose mouths do what a test says, as measures of finished videos see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.statistics import Measured

PIXELS = np.zeros((360, 640, 3), np.uint8)
MASK = np.zeros((560, 420), np.float32)
SCALE = 0.5
"""Frame pixels in a pixel of the aligned crop, where the brows are 229.6 apart."""
BROWS = 229.6 * SCALE


def seen_face(
    aperture: float, width: float = 0.5, *, mouth: Iterable[float] = (0, 0), at: float = 0.0
) -> SeenFace:
    """aperture, width: in distances of the brows. mouth: x, y by which it is displaced on the face
    [frame pixels]. at: x of the face in the frame."""
    a, w = aperture * 229.6 / 2, width * 229.6 / 2
    upper = [(95.2, 112), (324.8, 112), (210, 224), (130, 150), (290, 150), (210, 224)]
    lower = [(210 - w, 380), (210 + w, 380), (210, 380 - a), (210, 380 + a), (210, 500)]
    matrix = np.array([[1 / SCALE, 0, -at / SCALE], [0, 1 / SCALE, 0]], np.float32)
    points = np.array(upper + lower) * SCALE + (at, 0)
    points[6:10] += list(mouth)
    mesh = np.repeat(points, 43, axis=0)[:468].astype(np.float32)
    return SeenFace(points.astype(np.float32), matrix, track=0, mesh=mesh)


def pairs(
    faces: Iterable[SeenFace | None],
    sources: Iterable[SeenFace | None] | None = None,
    *,
    seen: Iterable[bool] | None = None,
    rate: float = 25.0,
) -> Iterator[FramePair]:
    """seen: of each frame, whether it is measured; None: all are."""
    faces = list(faces)
    behind = [None] * len(faces) if sources is None else list(sources)
    wanted = [True] * len(faces) if seen is None else list(seen)
    for index, (face, source) in enumerate(zip(faces, behind, strict=True)):
        if wanted[index]:
            follows = index > 0 and wanted[index - 1]
            yield FramePair(
                *(index, index / rate, PIXELS, PIXELS, face, source), follows=follows, mask=MASK
            )


def by_name(results: Iterable[Measured]) -> dict[str, Measured]:
    return {one.name: one for one in results}
