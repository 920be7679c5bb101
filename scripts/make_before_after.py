"""Remake the README's picture: ``python -m scripts.make_before_after``.

Two frames of the demo clip, each as it comes and as ``make demo`` leaves it.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from latentsync.media.reader import VideoReader

BEFORE, AFTER = Path("assets/demo_lipsynced.mp4"), Path("outputs/demo.mp4")
PICTURE = Path("assets/before_after.jpg")
FRAMES = (12, 37)
FACE = (slice(130, 400), slice(190, 450))  # rows, columns of the film
MOUTH = (slice(285, 350), slice(250, 380))


def main() -> None:
    columns = [_shown(film, index) for index in FRAMES for film in (BEFORE, AFTER)]
    picture = cv2.cvtColor(np.concatenate(columns, axis=1), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    PICTURE.write_bytes(data.tobytes())
    print(f"{PICTURE}: {len(data) / 1000:.0f} kB")


def _shown(film: Path, index: int) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the face, and below it the mouth, twice as large."""
    pixels = next(islice(VideoReader(film), index, None)).pixels
    mouth = cv2.resize(pixels[MOUTH], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.concatenate([pixels[FACE], mouth], axis=0)


if __name__ == "__main__":
    main()
