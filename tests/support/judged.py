"""Results to judge, made of a short video of a person: as it is, blurred, longer, of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from latentsync import Engine, load_config
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.media.reader import VideoReader
from tests.support.media_factory import make_video

TALKING = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"
LOSSLESS = {"crf": "1", "preset": "ultrafast"}


@cache
def talking(count: int) -> list[np.ndarray]:
    """(340, 360, 3) uint8 RGB frames of a person who talks."""
    reader = VideoReader(TALKING, start=20, stop=20 + count)
    return [np.ascontiguousarray(frame.pixels[90:430, 140:500]) for frame in reader]


@cache
def judging_engine() -> Engine:
    return evaluation_engine(load_config(None))


def video_of(
    path: Path,
    frames: Sequence[np.ndarray],
    change: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels,
    **options: object,
) -> Path:
    """Nearly lossless."""
    return make_video(path, [change(one) for one in frames], options=LOSSLESS, **options)  # type: ignore[arg-type]


def blurred(pixels: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), 2)
