"""Crops of mouths for LR-ASD, and its scores along a video.

Every face that may speak gives a crop 25 times a second of the video's time, whatever the video's
frame rate. The network is not in here: it is a function that the caller passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

FRAME_RATE = 25
CEPSTRA_PER_FRAME = 4
CROP = 112
WINDOWS = (1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6)
"""Seconds of the windows whose scores are averaged, as upstream; short ones count three times."""
BLOCK = 60 * FRAME_RATE
"""Crops that are scored at once: 19 MB a face. All WINDOWS divide a minute, so that with CONTEXT
the blocks do not show in the scores."""
CONTEXT = 9
"""Crops on either side on which a crop's encoding depends; its audio's, on 6 (24 cepstra)."""
BOX_MEDIAN = 13
"""Frames in the median over which boxes are smoothed."""
GAP = 0.5
"""Seconds without a face after which its later crops are a sequence of their own."""

_OUTSIDE = 110  # grey value beyond the border of the frame
_ABOVE, _BELOW, _BESIDE = 1.0, 1.8, 1.4  # extent of the face's square, in half sides of its box
_WHOLE = 224  # the face's square, of which the crop is the middle


class MouthScorer(Protocol):
    """Scores how much a mouth speaks at each instant."""

    def __call__(
        self, crops: np.ndarray, cepstra: np.ndarray, *, before: int = 0, after: int = 0
    ) -> np.ndarray:
        """crops (N, 112, 112) uint8 grey, cepstra (4 N, 13) -> (T, 2) float.

        The score from crops and audio, and the one from crops alone. before, after: how many crops
        at the ends are context, 0 to CONTEXT, and get no score; T = N - before - after, 1 to BLOCK.
        """


def smooth_squares(boxes: np.ndarray, *, beyond: str = "edge") -> np.ndarray:
    """boxes: (N, 4) x0, y0, x1, y1 of one face in consecutive frames -> (N, 3) float64.

    Centre x and y and half the longer side [frame pixels], each the median over 13 frames. beyond:
    mode of np.pad; upstream pads with zeros ("constant"), which shrinks the first and last six.
    """
    exact = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides = exact[:, 2:] - exact[:, :2]
    centres = (exact[:, :2] + exact[:, 2:]) / 2
    squares = np.column_stack([centres, sides.max(axis=1) / 2])
    return running_median(squares, BOX_MEDIAN, beyond=beyond)


def running_median(values: np.ndarray, width: int, *, beyond: str) -> np.ndarray:
    """values: (N, C) -> (N, C): of each column the median over `width` rows, an odd number.

    beyond: mode of np.pad, for the rows before the first and after the last.
    """
    reach = width // 2
    padded = np.pad(values, ((reach, reach), (0, 0)), mode=beyond)  # type: ignore[call-overload]
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
    medians: np.ndarray = np.median(windows, axis=-1)
    return medians


def face_crop(pixels: np.ndarray, square: np.ndarray) -> np.ndarray:
    """pixels: (H, W, 3) uint8, square: (3,) of smooth_squares -> (224, 224, 3) uint8.

    2.8 half sides of the box long, from its top to 0.8 below it. Grey beyond the frame. Channels
    stay in their order.
    """
    x, y, half = (float(value) for value in square)
    rows = np.floor([y - _ABOVE * half, y + _BELOW * half]).astype(int)
    columns = np.floor([x - _BESIDE * half, x + _BESIDE * half]).astype(int)
    return cv2.resize(_part(pixels, rows, columns), (_WHOLE, _WHOLE))


def mouth_crop(pixels: np.ndarray, square: np.ndarray) -> np.ndarray:
    """pixels: (H, W, 3) uint8 RGB, square: (3,) of smooth_squares -> (112, 112) uint8 grey.

    The middle of face_crop: mouth and chin, 0.7 of the box wide, its centre below the box's.
    """
    whole = face_crop(pixels, square)
    middle = slice((_WHOLE - CROP) // 2, (_WHOLE + CROP) // 2)
    # A crop that were a view of the whole would hold four times its memory.
    return cv2.cvtColor(whole[middle, middle], cv2.COLOR_RGB2GRAY)


def windowed_mean(score: Callable[[int, int], np.ndarray], count: int) -> np.ndarray:
    """score: (start, stop) -> (stop - start,) of these frames alone. -> (count,) float64.

    The mean over WINDOWS, each a partition of the frames whose last part is short.
    """
    total = np.zeros(count)
    for seconds in sorted(set(WINDOWS)):
        length = seconds * FRAME_RATE
        for start in range(0, count, length):
            stop = min(start + length, count)
            total[start:stop] += score(start, stop) * WINDOWS.count(seconds)
    return total / len(WINDOWS)


@dataclass(slots=True, eq=False)
class _Clip:
    """One face's crops that are not scored yet, and the scores so far.

    tick: the next instant that wants a crop, in 1/25 s. crop, seconds: of the latest frame.
    scored: how many of the waiting crops, the first, are scored and wait as CONTEXT only.
    """

    tick: int
    crop: np.ndarray
    seconds: float
    waiting: list[np.ndarray] = field(default_factory=list)
    scored: int = 0
    ticks: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)


class MouthClips:
    """Collects crops in one pass over a video and scores them; holds a minute of each face that is
    in the frame.

    Give it every frame, in the order of their times: those without faces tell it that faces left.
    """

    def __init__(self, score: MouthScorer, cepstra: np.ndarray) -> None:
        """cepstra: (M, 13) MFCC of the whole audio, 100 a second from the video's zero."""
        self._score, self._cepstra = score, cepstra
        self._clips: dict[int, _Clip] = {}

    def add(self, pixels: np.ndarray, seconds: float, squares: Mapping[int, np.ndarray]) -> None:
        """pixels: (H, W, 3) uint8 RGB. seconds: its time. squares: track -> (3,), smooth_squares.

        Scores a face's crops as soon as they fill a block, or the face has been away for GAP.
        """
        for known in self._clips.values():
            if seconds - known.seconds > GAP:
                self._close(known)
        for track, square in squares.items():
            crop, tick = mouth_crop(pixels, square), max(_nearest_tick(seconds), 0)
            clip = self._clips.get(track)
            if clip is None:
                clip = self._clips[track] = _Clip(tick, crop, seconds)
            elif seconds - clip.seconds > GAP:
                clip.tick = tick
            else:
                self._fill(clip, _nearest_tick((clip.seconds + seconds) / 2 + 0.5 / FRAME_RATE))
            clip.crop, clip.seconds = crop, seconds

    def finish(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """track -> times (T,) [seconds, on the 1/25 s grid] and scores (T, 2), see MouthScorer.

        Times at which the audio is over have no score and are left out.
        """
        for clip in self._clips.values():
            self._close(clip)
        return {
            track: (np.concatenate(clip.ticks) / FRAME_RATE, np.concatenate(clip.scores))
            for track, clip in self._clips.items()
            if clip.scores
        }

    def _close(self, clip: _Clip) -> None:
        self._fill(clip, _nearest_tick(clip.seconds) + 1)
        while len(clip.waiting) > clip.scored:
            self._score_block(clip)
        clip.waiting.clear()
        clip.scored = 0

    def _fill(self, clip: _Clip, stop: int) -> None:
        """The latest frame is the nearest one at all ticks before `stop`."""
        while clip.tick < min(stop, len(self._cepstra) // CEPSTRA_PER_FRAME):
            clip.waiting.append(clip.crop)
            clip.tick += 1
            if len(clip.waiting) - clip.scored == BLOCK + CONTEXT:
                self._score_block(clip)

    def _score_block(self, clip: _Clip) -> None:
        """Scores the first BLOCK crops that have no score, and keeps the context of the next."""
        before, stop = clip.scored, min(clip.scored + BLOCK, len(clip.waiting))
        crops = clip.waiting[: stop + CONTEXT]
        first = clip.tick - len(clip.waiting)
        rows = self._cepstra[first * CEPSTRA_PER_FRAME :][: len(crops) * CEPSTRA_PER_FRAME]
        scores = self._score(np.stack(crops), rows, before=before, after=len(crops) - stop)
        clip.ticks.append(first + np.arange(before, stop))
        clip.scores.append(scores)
        clip.scored = min(stop, CONTEXT)
        del clip.waiting[: stop - clip.scored]


def _nearest_tick(seconds: float) -> int:
    """The first instant of the grid that is not earlier than half a step before."""
    return int(np.ceil(seconds * FRAME_RATE - 0.5 - 1e-6))


def _part(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The rows and columns [start, stop] of the frame, grey where they lie beyond it."""
    height, width = pixels.shape[:2]
    (top, left), (bottom, right) = (
        np.maximum([rows[0], columns[0]], 0),
        np.minimum([rows[1], columns[1]], [height, width]),
    )
    size = max(rows[1] - rows[0], 1), max(columns[1] - columns[0], 1), 3
    part = np.full(size, _OUTSIDE, np.uint8)
    if top < bottom and left < right:
        inside = pixels[top:bottom, left:right]
        y, x = top - rows[0], left - columns[0]
        part[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return part
