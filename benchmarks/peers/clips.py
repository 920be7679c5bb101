"""The videos that all contestants get: the demo clip, its face enlarged, at two sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np

from benchmarks.big_frames import enlarged, write
from latentsync.face.detector import load_detector
from latentsync.face.landmarks import CONTROL, FIVE

RATE = 25


@dataclass(frozen=True, slots=True)
class Clip:
    """face: pixels of its width. restored: frames that are restored for real. plain: frames of the
    work around the network."""

    name: str
    size: tuple[int, int]
    face: int
    restored: int
    plain: int

    def path(self, folder: Path, frames: int) -> Path:
        return folder / f"{self.name}-{frames}.mp4"

    def __str__(self) -> str:
        width, height = self.size
        return f"{width}x{height}, a face of {self.face} px"


CLIPS = (
    Clip("1080p", (1920, 1080), 400, restored=2, plain=12),
    Clip("4K", (3840, 2160), 800, restored=2, plain=6),
)


def write_clips(folder: Path, video: Path) -> None:
    """Each clip twice: with the frames that are restored, and with those of the work around."""
    for clip in CLIPS:
        frames = list(enlarged(video, clip.plain, clip.size, clip.face))
        for count in (clip.restored, clip.plain):
            write(clip.path(folder, count), iter(frames[:count]), clip.size, RATE)


def decoded(path: Path, count: int) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 BGR: the first frames, decoded as the peers' ffmpeg does."""
    with av.open(f"file:{path}") as container:
        for frame in islice(container.decode(video=0), count):
            yield frame.to_ndarray(format="bgr24")


class Points:
    """Landmarks of the largest face, in each frame by itself, by this project's detector: the
    peers' own detectors are larger networks, whose weights are not here."""

    def __init__(self, which: slice) -> None:
        self._detector, self._which = load_detector("mediapipe"), which

    @classmethod
    def five(cls) -> Points:
        """Eyes, nose tip, corners of the mouth."""
        return cls(FIVE)

    @classmethod
    def control(cls) -> Points:
        """Brows and nose, of LatentSync's alignment."""
        return cls(CONTROL)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """frame: (H, W, 3) uint8 BGR -> (K, 2) float32. Raises ValueError where no face is seen."""
        self._detector.reset()
        faces = self._detector(np.ascontiguousarray(frame[:, :, ::-1]))
        if not faces:
            raise ValueError("no face in a frame of the benchmark's clip")
        return faces[0].landmarks[self._which]
