"""The SDR view of frames, which networks, detectors and measures get, and the way back from it.

A deep frame of an SDR video is only rescaled. HLG and PQ go along one curve each, for every channel
by itself, in the video's own primaries:

1. Light, of which 1 is white: 203 cd/m2 as ITU-R BT.2408 has it, which HLG codes as 0.75.
2. v = light ** (1 / 2.4), as an SDR display undoes it. Of HLG that is the square root of scene
   light, as the display adds a power of 1.2: a straight line up to half the signal.
3. Above KNEE a shoulder, KNEE + (1 - KNEE) * (1 + a) * x / (1 + a * x): x goes from 0 at KNEE to 1
   at the greatest v, and a makes the slope at KNEE 1. White becomes 0.87 (HLG) or 0.86 (PQ).

The curves rise everywhere, so that each has an inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from latentsync.geometry import extract
from latentsync.types import Frame

HLG, PQ = "arib-std-b67", "smpte2084"
KNEE = 0.7
PER_LEVEL = 257
"""16-bit code values in one of 8 bits."""

_TOP = 65535
_WHITE_OF_HLG, _WHITE_OF_PQ = 0.75, 203 / 10_000
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
"""Of HLG (ITU-R BT.2100)."""
_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
"""Of PQ (ITU-R BT.2100)."""


def sdr(frame: Frame) -> Frame:
    """The frame with (H, W, 3) uint8 pixels as an SDR display shows it; itself if it is like that.

    Without alpha and carrier: it is to be looked at, not to be encoded.
    """
    if frame.pixels.dtype == np.uint8:
        return frame
    if frame.transfer:
        pixels = _rounded_curve(frame.transfer)[frame.pixels]
    else:
        pixels = cv2.convertScaleAbs(frame.pixels, alpha=1 / PER_LEVEL)
    return replace(frame, pixels=pixels, alpha=None, transfer="", carrier=None)


def to_levels(samples: np.ndarray, transfer: str) -> NDArray[np.float32]:
    """Pixels of a frame, any shape -> float32, 8-bit code values of its SDR view, not rounded."""
    if samples.dtype == np.uint8:
        return samples.astype(np.float32)
    if transfer:
        return _curve(transfer)[samples]
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
def _curve(transfer: str) -> NDArray[np.float32]:
    """(65536,): each 16-bit code value in levels."""
    signal = np.arange(_TOP + 1) / _TOP
    value = _VALUES[transfer](signal)
    return (255 * _shoulder(value, float(value[-1]))).astype(np.float32)


@cache
def _rounded_curve(transfer: str) -> NDArray[np.uint8]:
    return np.rint(_curve(transfer)).astype(np.uint8)


@cache
def _inverse(transfer: str) -> NDArray[np.float32]:
    """(65536,): code values at equal steps of level from 0 to 255."""
    steps, codes = np.linspace(0, 255, _TOP + 1), np.arange(_TOP + 1)
    return np.interp(steps, _curve(transfer), codes).astype(np.float32)


def _hlg(signal: np.ndarray) -> np.ndarray:
    """v of the signal, both 1 at most or more."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)
    white = (np.exp((_WHITE_OF_HLG - _C) / _A) + _B) / 12
    return np.sqrt(scene / white)


def _pq(signal: np.ndarray) -> np.ndarray:
    power = signal ** (1 / _M2)
    light = (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return (light / _WHITE_OF_PQ) ** (1 / 2.4)


_VALUES: dict[str, Callable[[np.ndarray], np.ndarray]] = {HLG: _hlg, PQ: _pq}


def _shoulder(value: np.ndarray, greatest: float) -> np.ndarray:
    room = greatest - KNEE
    bend = room / (1 - KNEE) - 1
    x = np.maximum(value - KNEE, 0) / room
    return np.minimum(value, KNEE) + (1 - KNEE) * (1 + bend) * x / (1 + bend * x)
