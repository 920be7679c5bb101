"""The curves by which HLG and PQ become what an SDR display shows.

Each is for every channel by itself, in the video's own primaries:

1. Light, of which 1 is white: 203 cd/m2 as ITU-R BT.2408 has it, which HLG codes as 0.75.
2. v = light ** (1 / 2.4), as an SDR display undoes it. Of HLG that is the square root of scene
   light, as the display adds a power of 1.2: a straight line up to half the signal.
3. Above KNEE a shoulder, KNEE + (1 - KNEE) * (1 + a) * x / (1 + a * x): x goes from 0 at KNEE to 1
   at the greatest v, and a makes the slope at KNEE 1. White becomes 0.87 (HLG) or 0.86 (PQ).

The curves rise everywhere, so that each has an inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

HLG, PQ = "arib-std-b67", "smpte2084"
KNEE = 0.7

_TOP = 65535
_WHITE_OF_HLG, _WHITE_OF_PQ = 0.75, 203 / 10_000
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
"""Of HLG (ITU-R BT.2100)."""
_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
"""Of PQ (ITU-R BT.2100)."""


@cache
def curve(transfer: str) -> NDArray[np.float32]:
    """(65536,): each 16-bit code value in levels, 0 to 255. transfer: HLG or PQ."""
    signal = np.arange(_TOP + 1) / _TOP
    value = _VALUES[transfer](signal)
    return (255 * _shoulder(value, float(value[-1]))).astype(np.float32)


@cache
def rounded_curve(transfer: str) -> NDArray[np.uint8]:
    """(65536,): curve, rounded to code values of 8 bits."""
    return np.rint(curve(transfer)).astype(np.uint8)


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
