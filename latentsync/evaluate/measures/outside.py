"""Whether a result keeps what it is not to change: the frame outside the patches."""

from __future__ import annotations

import logging

import cv2
import numpy as np

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.pair import FramePair
from latentsync.evaluate.statistics import Measured, median, ratio_of_sums
from latentsync.types import Box

logger = logging.getLogger(__name__)

EQUAL, ENCODED = "outside_equal", "outside_psnr"
HIGHEST = 100.0
"""dB; of frames that are the same."""
REACH = 8
"""Frame pixels around the mask that do not count: blocks of the encoder, and the mask's rim."""
_EVERY = 2  # rows and columns of which one is compared: noise of coding is everywhere


def _percent(rows: np.ndarray) -> float:
    """rows: (K, 2): pixels that are equal, pixels."""
    return 100 * ratio_of_sums(rows)


FIGURES = (
    Figure(
        name=EQUAL,
        group="rest",
        title="Untouched outside the patches",
        unit="%",
        better="higher",
        how="share of the pixels outside the box of all patches that are the source's, bit for "
        "bit, before the encode; anything but all is a bug",
        statistic=_percent,
        good=100 - 1e-9,
        poor=100 - 1e-9,
        needs=("job",),
    ),
    Figure(
        name=ENCODED,
        group="rest",
        title="Fidelity outside the mouth",
        unit="dB",
        better="higher",
        how="PSNR against the source, all channels, outside the region that new pixels may be in; "
        f"median over frames, {HIGHEST:g} where they are the same",
        statistic=median,
        grain=0.5,
        good=38.0,
        poor=32.0,
        needs=("source",),
    ),
)


class Outside:
    """PSNR of the part of each frame that is not to be changed, after the encode."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._psnr: list[float] = []

    def add(self, pair: FramePair) -> None:
        if pair.source is None:
            return
        self._seconds.append(pair.seconds)
        self._psnr.append(psnr(pair.result, pair.source, kept_part(pair)))

    def results(self) -> list[Measured]:
        rows = np.array(self._psnr, np.float64).reshape(-1, 1)
        return [Measured(ENCODED, np.array(self._seconds), rows)] if self._seconds else []


class Untouched:
    """Counts pixels outside the patches that differ, before the encode."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._rows: list[tuple[int, int]] = []

    def add(self, second: float, before: np.ndarray, after: np.ndarray, patches: Box) -> None:
        """before, after: (H, W, 3) of any depth. patches: the box of all patches of the frame."""
        equal = total = 0
        for rows, columns in _around(patches, before.shape[:2]):
            one, other = before[rows, columns], after[rows, columns]
            total += one.shape[0] * one.shape[1]
            equal += _equal(one, other)
        self._seconds.append(second)
        self._rows.append((equal, total))
        if equal < total:
            logger.warning(
                "%d pixels outside the patches differ from the source at %.3f s: this is a bug",
                *(total - equal, second),
            )

    def results(self) -> list[Measured]:
        rows = np.array(self._rows, np.float64).reshape(-1, 2)
        return [Measured(EQUAL, np.array(self._seconds), rows)] if self._seconds else []


def kept_part(pair: FramePair) -> np.ndarray:
    """(H, W) uint8, 1 where no new pixel may be; without a face everywhere."""
    kept = np.ones(pair.result.shape[:2], np.uint8)
    face = pair.source_face or pair.face
    if face is None:
        return kept
    size = pair.result.shape[1::-1]
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine((pair.mask > 0).view(np.uint8), face.matrix, size, flags=flags)
    around = np.ones((2 * REACH + 1,) * 2, np.uint8)
    return kept - cv2.dilate(there, around)


def psnr(one: np.ndarray, other: np.ndarray, kept: np.ndarray) -> float:
    """dB, at most HIGHEST; nan where nothing is kept. one, other: (H, W, 3) uint8."""
    part = np.ascontiguousarray(kept[::_EVERY, ::_EVERY])
    if not part.any():
        return float("nan")
    difference = cv2.absdiff(
        *(np.ascontiguousarray(frame[::_EVERY, ::_EVERY]) for frame in (one, other))
    ).astype(np.float32)
    error = float(np.mean(cv2.mean(cv2.multiply(difference, difference), part)[:3]))
    return min(HIGHEST, 10 * np.log10(255**2 / error)) if error else HIGHEST


def _equal(one: np.ndarray, other: np.ndarray) -> int:
    """Pixels that are the same in all channels."""
    if np.array_equal(one, other):
        return one.shape[0] * one.shape[1]
    return int((one == other).all(axis=2).sum())


def _around(box: Box, size: tuple[int, int]) -> list[tuple[slice, slice]]:
    """The parts of a frame (height, width) above, below, left and right of a box."""
    beside = slice(box.y0, box.y1)
    return [
        (slice(0, box.y0), slice(0, size[1])),
        (slice(box.y1, size[0]), slice(0, size[1])),
        (beside, slice(0, box.x0)),
        (beside, slice(box.x1, size[1])),
    ]
