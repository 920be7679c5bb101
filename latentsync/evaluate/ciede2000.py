"""How different two colours look: CIEDE2000, vectorised, and sRGB to CIELAB.

As of Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes,
Supplementary Test Data, and Mathematical Observations", Color Research and Application 30, 2005;
all three weights (kL, kC, kH) are 1. One unit is about what an eye just sees.
"""

from __future__ import annotations

import numpy as np

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""Linear sRGB -> CIE XYZ, IEC 61966-2-1."""
_WHITE = _TO_XYZ.sum(axis=1)  # D65: what R = G = B = 1 gives
_CUBE = 6 / 29
"""Cube root of the relative luminance below which lightness is linear."""
_CHROMA_7 = 25.0**7


def lab(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) float64 CIELAB under D65. rgb: (..., 3) sRGB code values, 0 to 255."""
    coded = np.asarray(rgb, np.float64) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((np.abs(coded) + 0.055) / 1.055) ** 2.4)
    share = linear @ _TO_XYZ.T / _WHITE
    root = np.where(
        share > _CUBE**3, np.cbrt(share), share / (3 * _CUBE**2) + 4 / 29
    )  # CIE 15, both branches meet
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def color_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(...) float64, CIEDE2000 of two arrays (..., 3) of CIELAB colours; symmetric."""
    (light, a, b), (light_2, a_2, b_2) = (np.moveaxis(np.asarray(c), -1, 0) for c in (one, other))
    chroma_mean = (np.hypot(a, b) + np.hypot(a_2, b_2)) / 2
    # Greys are stretched along a: there the eye sees more than CIELAB says.
    stretch = 1.5 - 0.5 * np.sqrt(chroma_mean**7 / (chroma_mean**7 + _CHROMA_7))
    chroma, hue = _polar(stretch * a, b)
    chroma_2, hue_2 = _polar(stretch * a_2, b_2)
    middle_light, middle_chroma = (light + light_2) / 2, (chroma + chroma_2) / 2
    turn, middle_hue = _hues(hue, hue_2, grey=chroma * chroma_2 == 0)
    off = (middle_light - 50) ** 2
    lightness = (light_2 - light) / (1 + 0.015 * off / np.sqrt(20 + off))
    colorfulness = (chroma_2 - chroma) / (1 + 0.045 * middle_chroma)
    tint = 2 * np.sqrt(chroma * chroma_2) * np.sin(np.radians(turn / 2))
    tint /= 1 + 0.015 * middle_chroma * _hue_weight(middle_hue)
    crossed = _rotation(middle_chroma, middle_hue) * colorfulness * tint
    squared = lightness**2 + colorfulness**2 + tint**2 + crossed
    return np.sqrt(np.maximum(squared, 0))


def _polar(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chroma, and hue in degrees, [0, 360)."""
    return np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360


def _hues(one: np.ndarray, other: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From the one to the other on the shorter way, and their middle. Degrees. grey: (...) bool,
    where one of the two has no hue: the turn is 0 and the middle is their sum."""
    turn = other - one
    turn = np.where(grey, 0.0, turn - 360 * np.sign(turn) * (np.abs(turn) > 180))
    total = one + other
    far = (np.abs(other - one) > 180) & ~grey
    middle = np.where(far, total + np.where(total < 360, 360, -360), total) / 2
    return turn, np.where(grey, total, middle)


def _hue_weight(hue: np.ndarray) -> np.ndarray:
    return np.asarray(
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )


def _rotation(chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Blues lie aslant in CIELAB: there chroma and hue are not independent."""
    angle = 30 * np.exp(-(((hue - 275) / 25) ** 2))
    strength = 2 * np.sqrt(chroma**7 / (chroma**7 + _CHROMA_7))
    return np.asarray(-np.sin(np.radians(2 * angle)) * strength)
