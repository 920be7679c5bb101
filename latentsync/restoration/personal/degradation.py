"""Simulates degradations of mouths. All functions are deterministic for a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

SHRINK = (1.5, 4.0)
BLUR = (0.6, 3.0)  # sigma, pixels
POLISH = (6.0, 40.0)  # code values
REACH = (1.5, 3.0)  # sigma, pixels
NOISE = (0.5, 4.0)  # sigma, code values
QUALITY = (50, 95)  # JPEG
# JPEG qualities that stand for the video's encoder, 0: for none. A filter that is fitted to one of
# them gains on videos of crf 18 to 28 what one gains that is fitted to the very encoder, to 0.1 dB.
CODING = (0, 80, 55, 35)

# Rounding step of the luma in code values: RGB is rounded, then resampled.
_STEP = np.float32(0.5)


@dataclass(frozen=True, slots=True)
class Degradation:
    """One way to lose detail; applied in the order of its fields.

    polish: code values; differences below it are smoothed, edges stay. blur: sigma of a Gaussian,
    pixels. shrink: factor of the downscaling, followed by cubic (linear: linear) interpolation.
    noise: sigma, code values, and quality: of JPEG, 0: none; both at the smaller size. coding:
    quality of a JPEG of the result, which stands for the encoder of the video; 0: none. seed: of
    the noise and of the position of the smaller image's grid.
    """

    polish: float = 0.0
    reach: float = 1.5
    blur: float = 0.0
    shrink: float = 1.0
    linear: bool = False
    noise: float = 0.0
    quality: int = 0
    coding: int = 0
    seed: int = 0

    def __call__(self, luma: np.ndarray) -> np.ndarray:
        """luma: (h, w) float32 code values 0..255 -> the same, rounded to _STEP."""
        random = np.random.default_rng(self.seed)
        if self.polish > 0:
            luma = cv2.bilateralFilter(
                luma, 2 * round(1.5 * self.reach) + 1, self.polish, self.reach
            )
        if self.blur > 0:
            luma = cv2.GaussianBlur(luma, (0, 0), self.blur)
        if self.shrink > 1:
            luma = self._downscaled(luma, random)
        else:
            luma = self._with_noise_and_jpeg(luma, random)
        luma = _jpeg(luma, self.coding) if self.coding else luma
        return (np.rint(luma / _STEP) * _STEP).clip(0, 255)

    @property
    def parts(self) -> int:
        """Number of its components; 0: none. Not counted: coding, which every video has."""
        return sum(
            x > 0 for x in (self.polish, self.blur, self.shrink - 1, self.noise, self.quality)
        )

    def _downscaled(self, luma: np.ndarray, random: np.random.Generator) -> np.ndarray:
        height, width = luma.shape
        top, left = (int(n) for n in random.integers(0, int(np.ceil(self.shrink)), 2))
        size = [int(np.ceil((n + 8) / self.shrink)) for n in (width, height)]
        full = [round(n * self.shrink) for n in size]
        pads = (top, full[1] - height - top, left, full[0] - width - left)
        padded = cv2.copyMakeBorder(luma, *pads, cv2.BORDER_REFLECT_101)
        small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
        how = cv2.INTER_LINEAR if self.linear else cv2.INTER_CUBIC
        back = cv2.resize(self._with_noise_and_jpeg(small, random), full, interpolation=how)
        return back[top : top + height, left : left + width]

    def _with_noise_and_jpeg(self, luma: np.ndarray, random: np.random.Generator) -> np.ndarray:
        if self.noise > 0:
            luma = luma + self.noise * random.standard_normal(luma.shape, np.float32)
        return _jpeg(luma, self.quality) if self.quality else luma


def _jpeg(luma: np.ndarray, quality: int) -> np.ndarray:
    """(h, w) float32 code values -> the same, encoded and decoded."""
    levels = np.rint(luma).clip(0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return decoded.astype(np.float32)


def candidate_degradations(*, seed: int = 0) -> list[Degradation]:
    """Typical degradations of generators and resampling: first none, then single ones, mixtures."""
    random = np.random.default_rng(seed)
    pure = [Degradation()]
    pure += [Degradation(blur=float(b)) for b in np.geomspace(*BLUR, 10)]
    pure += [Degradation(shrink=float(s)) for s in np.geomspace(*SHRINK, 12)]
    pure += [Degradation(shrink=float(s), linear=True) for s in np.geomspace(*SHRINK, 4)]
    pure += [
        Degradation(polish=float(p), reach=reach)
        for p in np.geomspace(*POLISH, 3)
        for reach in REACH
    ]
    coded = [replace(one, coding=quality) for quality in CODING for one in pure]
    return [*coded, *(_mixture(i, random) for i in range(64))]


def _mixture(index: int, random: np.random.Generator) -> Degradation:
    def between(bounds: tuple[float, float]) -> float:
        return float(np.exp(random.uniform(*np.log(bounds))))

    blurred, shrunk = ((1, 0), (0, 1), (1, 1), (0, 1))[index % 4]
    noisy, coded, polished = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0))[index // 4 % 4]
    return Degradation(
        polish=between(POLISH) * polished,
        reach=float(random.choice(REACH)),
        blur=between(BLUR) * blurred * (0.6 if shrunk else 1),
        shrink=between(SHRINK) if shrunk else 1.0,
        linear=bool(random.random() < 0.25),
        noise=between(NOISE) * noisy,
        quality=int(random.integers(*QUALITY)) * coded,
        coding=CODING[index // 16 % len(CODING)],
        seed=int(random.integers(2**31)),
    )


def neighbours(degradations: Sequence[Degradation], each: int, *, seed: int) -> list[Degradation]:
    """The degradations, and ``each`` variations of every one, by a tenth to a fifth."""
    random = np.random.default_rng(seed)
    moved = [_moved(one, random) for one in degradations if one.parts for _ in range(each)]
    return [*degradations, *moved]


def _moved(one: Degradation, random: np.random.Generator) -> Degradation:
    by = np.exp(np.array([0.2, 0.2, 0.1, 0.15, 0.15]) * random.standard_normal(5))
    quality = one.quality and int(np.clip(one.quality + random.normal(0, 6), *QUALITY))
    coding = one.coding and int(np.clip(one.coding + random.normal(0, 6), CODING[-1], 95))
    return replace(
        one,
        polish=one.polish * float(by[0]),
        reach=float(np.clip(one.reach * by[1], 1.0, 5.0)),
        blur=one.blur * float(by[2]),
        shrink=1 + (one.shrink - 1) * float(by[3]),
        noise=one.noise * float(by[4]),
        quality=quality,
        coding=coding,
        seed=int(random.integers(2**31)),
    )
