"""The unit database: frames of a video that can be selected, and their natural order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from latentsync.generate.base import Footage

if TYPE_CHECKING:
    from latentsync.generate.replay.fit import Look

STRETCH_SECONDS = 8.0
"""Of a long video whole stretches are kept: speech with its pauses, in its natural order."""
FIRST_ROW = 0.42
"""Share of a square above which there is no mouth; see transplant."""
_SAME_PACE = 0.75
"""Share of the database's frame duration by which a natural successor may be off in time."""
_QUALITY = 95
"""30 kB a mouth cut from a square of 512: 45 MB a minute at 25 frames a second."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitDatabase:
    """M frames that can be selected, in the order of their video.

    seconds: (M,) rising. run: (M,) int, the same number where frames follow each other in one
    shot. identity: (M,) int. features: (M, D) float32, of the audio. lips: (M, 2) aperture and
    width. look: of the M frames: poses, and what else has to fit.
    """

    seconds: np.ndarray
    run: np.ndarray
    identity: np.ndarray
    features: np.ndarray
    lips: np.ndarray
    look: Look

    def __len__(self) -> int:
        return len(self.seconds)


class Succession:
    """The natural order of a database's frames, for an output of any frame rate.

    step: seconds from one frame to the next; 0: no two follow each other.
    """

    def __init__(self, database: UnitDatabase) -> None:
        self._seconds, self._run = database.seconds, database.run
        steps = np.diff(database.seconds)[np.diff(database.run) == 0]
        self.step = float(np.median(steps)) if len(steps) else 0.0
        self._reach = _SAME_PACE * self.step

    def after(self, frames: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """(S,) int: the natural successor ``step`` seconds after each frame, or the predecessor
        where step is negative; -1 where the run ends before."""
        last = len(self._seconds) - 1
        wanted = self._seconds[frames] + step
        right = np.searchsorted(self._seconds, wanted).clip(0, last)
        left = (right - 1).clip(0)
        nearer = wanted - self._seconds[left] <= self._seconds[right] - wanted
        found = np.where(nearer, left, right)
        return np.where(self.follows(frames, found, step), found, -1)

    def follows(
        self, before: np.ndarray, after: np.ndarray, step: float | np.ndarray
    ) -> np.ndarray:
        """bool, for arrays that broadcast: ``after`` is the natural successor of ``before``."""
        off = np.abs(self._seconds[after] - self._seconds[before] - step)
        return (off <= self._reach) & (self._run[before] == self._run[after])

    def repeats(self, before: np.ndarray, after: np.ndarray, seconds: float) -> np.ndarray:
        """bool, for arrays that broadcast: ``after`` was shown at most ``seconds`` ago."""
        back = self._seconds[before] - self._seconds[after]
        return (back >= 0) & (back <= seconds) & (self._run[before] == self._run[after])


def best_stretches(
    seconds: np.ndarray, usable: np.ndarray, speech: np.ndarray, *, limit: int
) -> np.ndarray:
    """(F,) bool, at most about ``limit`` frames: the stretches of 8 s with the most usable speech.

    seconds: (F,) rising. usable: (F,) bool, with a face. speech: (F,) bool. All usable frames
    where they are within the limit; earlier stretches win ties.
    """
    if usable.sum() <= limit:
        return usable.copy()
    stretch = np.floor((seconds - seconds[0]) / STRETCH_SECONDS).astype(np.int64)
    spoken = np.bincount(stretch, weights=usable & speech)
    frames = np.bincount(stretch, weights=usable)
    order = np.argsort(-spoken, kind="stable")
    kept = order[np.cumsum(frames[order]) <= limit]
    if not len(kept):  # a limit below one stretch: its first frames
        kept = order[:1]
    inside = usable & np.isin(stretch, kept)
    return inside & (np.cumsum(inside) <= limit)


def pack(square: np.ndarray) -> bytes:
    """square: (R, R, 3) uint8 RGB -> its lower part as JPEG, colours at full resolution."""
    rows = round(len(square) * FIRST_ROW)
    lower = cv2.cvtColor(square[rows:], cv2.COLOR_RGB2BGR)
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    done, data = cv2.imencode(".jpg", lower, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, *sampling])
    if not done:
        raise ValueError(f"not an image: {square.shape} {square.dtype}")
    return data.tobytes()


def pack_crops(footage: Footage, frames: np.ndarray, size: int) -> Iterator[bytes]:
    """Reads the aligned crops of these frames, rising, and packs each: 30 kB at most."""
    for crop in footage.crops(frames, size):
        yield pack(((crop + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy())


def unpack(data: bytes) -> np.ndarray:
    """(h, R, 3) uint8 RGB: the lowest rows of the square that was packed."""
    lower = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if lower is None:
        raise ValueError(f"{len(data)} bytes are no packed mouth")
    return np.asarray(cv2.cvtColor(lower, cv2.COLOR_BGR2RGB))
