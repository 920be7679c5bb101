"""The SDR view of frames, which networks, detectors and measures get, and the way back from it.

A deep frame of an SDR video is only rescaled. HLG and PQ go along one curve each; see curves.py.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from latentsync.curves import curve, rounded_curve
from latentsync.geometry import extract
from latentsync.types import Frame

PER_LEVEL = 257
"""16-bit code values in one of 8 bits."""

_TOP = 65535


def sdr(frame: Frame) -> Frame:
    """The frame with (H, W, 3) uint8 pixels as an SDR display shows it; itself if it is like that.

    Without alpha and carrier: it is to be looked at, not to be encoded.
    """
    if frame.pixels.dtype == np.uint8:
        return frame
    if frame.transfer:
        pixels = rounded_curve(frame.transfer)[frame.pixels]
    else:
        pixels = cv2.convertScaleAbs(frame.pixels, alpha=1 / PER_LEVEL)
    return replace(frame, pixels=pixels, alpha=None, transfer="", carrier=None)


def to_levels(samples: np.ndarray, transfer: str) -> NDArray[np.float32]:
    """Pixels of a frame, any shape -> float32, 8-bit code values of its SDR view, not rounded."""
    if samples.dtype == np.uint8:
        return samples.astype(np.float32)
    if transfer:
        return curve(transfer)[samples]
    return np.divide(samples, PER_LEVEL, dtype=np.float32)


def from_levels(levels: NDArray[np.float32], transfer: str) -> NDArray[np.float32]:
    """The inverse of to_levels for deep frames: 16-bit code values, not rounded.

    Where the transfer has a curve, levels are first rounded to 1 / PER_LEVEL, and those beyond 0
    and 255 taken as these: a table is 20 times as fast as to compute it.
    """
    if not transfer:
        return np.multiply(levels, PER_LEVEL, dtype=np.float32)
    fine = cv2.addWeighted(levels, PER_LEVEL, levels, 0, 0, dtype=cv2.CV_16U)
    return _inverse(transfer)[fine]


def extract_levels(frame: Frame, matrix: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """geometry.extract of a frame's SDR view: finer than from sdr(frame), which is rounded."""
    if frame.pixels.dtype == np.uint8:
        return extract(frame.pixels, matrix, size)
    return extract(frame.pixels, matrix, size, levels=partial(to_levels, transfer=frame.transfer))


@cache
def _inverse(transfer: str) -> NDArray[np.float32]:
    """(65536,): code values at equal steps of level from 0 to 255."""
    steps, codes = np.linspace(0, 255, _TOP + 1), np.arange(_TOP + 1)
    return np.interp(steps, curve(transfer), codes).astype(np.float32)
