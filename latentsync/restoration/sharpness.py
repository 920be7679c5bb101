"""Sharpness of the mouth relative to the rest of the same face.

Both parts of a face went through the same lens and codec, so their spectra have the same slope. The
spectrum of a mouth that was generated at a lower resolution, resampled or smoothed is steeper. The
sharpness is the ratio of two blur widths, each estimated from the slope of octave band energies:
contrast cancels out.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from latentsync.geometry import padded_part, part_of
from latentsync.types import Box

BANDS = 5
"""Octave bands of the luma, finest first: between Gaussians of sigma 0, 1, 2, 4, 8, 16 pixels."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B, Rec. 601: the luma that is measured, and that is restored."""

# White noise that is subtracted, in code values squared: that of 8 bits and a codec.
_NOISE_VARIANCE = 0.8
_LEAST_SIGNAL = 0.25  # of that noise, at least: below it a slope is unreliable
# Reliability of each slope between neighbouring bands. The finest holds codec noise; the coarser
# ones differ from face to face, the last one by a factor of 1.5.
_SLOPE_WEIGHTS = np.array([0.3, 1.0, 0.5, 0.05])
_WIDTHS = np.geomspace(0.3, 16.0, 400)  # pixels
_SIZE_STEP = 8  # pixels of height of the upright face: few sizes, so that masks can be cached
_LARGE_STEP = 32  # the same for a large face
_CACHED_PIXELS = 10_000_000  # of all cached masks: 110 MB
_REACH = 112  # pixels: of the blurs of all bands, in whole steps of the coarsest band
# The border between the frame and its repeated rows is an edge.
_CLEAR = 2  # pixels that stay clear of it
_BLOCK = 4096  # frames at once, so that memory does not grow with the video's length

LARGE = 2.0
"""Frame pixels per pixel of the aligned crop above which a face is large: wider than 740 pixels."""


class _BandMask(NamedTuple):
    """values: (2, h, w) float32 in [0, 1], [mouth, rest]. weights: (2,) float64, their sums."""

    values: np.ndarray
    weights: np.ndarray


class _Masks(NamedTuple):
    """bands: one for each band. counted: the part of the first one that is not 0."""

    bands: list[_BandMask]
    counted: Box


class SharpnessMeter:
    """Measures the band energies of mouth and rest in one frame.

    mouth_mask, rest_mask: (h, w) float32 in [0, 1], aligned crop; both the same shape.
    """

    def __init__(self, mouth_mask: np.ndarray, rest_mask: np.ndarray) -> None:
        self._masks = np.stack([mouth_mask, rest_mask]).astype(np.float32)
        self._counted = _counted(self._masks)
        self._resized: dict[tuple[int, Box], _Masks] = {}

    def __call__(self, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """(2, BANDS) float32: energies of [mouth, rest], code values squared, finest band first.

        pixels: (H, W, 3) uint8 RGB, a frame. matrix: (2, 3), frame pixels -> aligned crop pixels.
        The face is turned upright at the frame's own scale. Pixels outside the frame do not count;
        a region that is entirely outside gives nan.
        """
        height, width = self._masks.shape[1:]
        scale = 1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        step = _LARGE_STEP if scale > LARGE else _SIZE_STEP
        rows = max(round(height * scale / step), 4) * step
        columns = max(round(width * rows / height), 4)
        box = self._box(rows, columns) if scale > LARGE else Box(0, 0, columns, rows)
        upright = np.array([[columns / width], [rows / height]]) * matrix
        upright[:, 2] -= box.x0, box.y0
        size = (box.x1 - box.x0, box.y1 - box.y0)
        part, upright = part_of(pixels, upright, size[::-1])
        # OpenCV's cubic is fastest on one plane of float32, and only the luma is needed.
        gray, from_gray = padded_part(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), upright, size[::-1])
        luma = cv2.warpAffine(
            gray.astype(np.float32),
            from_gray,
            size,
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        bands, counted = self._masks_at(rows, columns, box)
        inside = _inside(part.shape[:2], upright, size, counted)
        return _energies(luma, bands if inside is None else _by_band(bands[0].values * inside))

    def _box(self, rows: int, columns: int) -> Box:
        """The part of the upright face that its energies depend on: half of a large face."""
        height, width = self._masks.shape[1:]
        across, down, coarsest = columns / width, rows / height, 2 ** (BANDS - 1)
        counted = self._counted
        return Box(
            max(int(counted.x0 * across - _REACH) // coarsest * coarsest, 0),
            max(int(counted.y0 * down - _REACH) // coarsest * coarsest, 0),
            min(int(counted.x1 * across + _REACH) + 1, columns),
            min(int(counted.y1 * down + _REACH) + 1, rows),
        )

    def _masks_at(self, rows: int, columns: int, box: Box) -> _Masks:
        """Of the box."""
        key = rows, box
        if key not in self._resized:
            cached = sum(one.bands[0].values[0].size for one in self._resized.values())
            if cached + (box.y1 - box.y0) * (box.x1 - box.x0) > _CACHED_PIXELS:
                self._resized.clear()
            shrunk = [
                cv2.resize(m, (columns, rows), interpolation=cv2.INTER_AREA) for m in self._masks
            ]
            shown = np.stack(shrunk)[:, box.y0 : box.y1, box.x0 : box.x1]
            self._resized[key] = _Masks(_by_band(shown), _counted(shown))
        return self._resized[key]


def sharpness(energies: np.ndarray) -> np.ndarray:
    """(...): blur width of the rest over that of the mouth. 1: equal; lower: the mouth is blurrier.

    energies: (..., 2, BANDS), [mouth, rest], of SharpnessMeter. nan where they hold nan.
    Medians over real tracks: originals 0.68 to 1.1; after downscaling by 3 or a Gaussian of 1.5
    pixels 0.33 to 0.57.
    """
    mouth, rest = blur_widths(energies)
    return rest / mouth


def blur_widths(energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equivalent Gaussian sigmas (mouth, rest), each (...), frame pixels.

    energies: (..., 2, BANDS), [mouth, rest]; nan where they hold nan.

    The rest's width is that of the blurred natural image (amplitude 1/frequency) whose slopes fit
    best. The mouth's is fitted to the difference of its slopes to the rest's, so that
    peculiarities of this face do not count as blur.
    """
    noise = _NOISE_VARIANCE * _white_energies()
    clean = np.maximum(energies - noise, _LEAST_SIGNAL * noise)
    slopes = np.diff(np.log(clean), axis=-1) / 2
    mouth, rest = slopes[..., 0, :], slopes[..., 1, :]
    model = _model_slopes()
    at_rest = _nearest(rest, model)
    at_mouth = _nearest(mouth - rest + model[at_rest], model)
    unknown = np.isnan(slopes).any(axis=(-1, -2))
    return np.where(unknown, np.nan, _WIDTHS[at_mouth]), np.where(unknown, np.nan, _WIDTHS[at_rest])


def _nearest(slopes: np.ndarray, model: np.ndarray) -> np.ndarray:
    """slopes: (..., BANDS - 1) -> (...) int, the nearest rows of model."""
    weighted = model * _SLOPE_WEIGHTS
    offset = (weighted * model).sum(-1)
    flat = slopes.reshape(-1, slopes.shape[-1])
    # The squared distance without the constant square of the slopes, a block of frames at a time.
    blocks = [
        (offset - 2 * flat[start : start + _BLOCK] @ weighted.T).argmin(-1)
        for start in range(0, len(flat), _BLOCK)
    ]
    return np.concatenate([np.empty(0, np.intp), *blocks]).reshape(slopes.shape[:-1])


def _inside(
    frame: tuple[int, ...], matrix: np.ndarray, size: tuple[int, int], counted: Box
) -> np.ndarray | None:
    """(h, w) float32: 1 inside the frame, 0 elsewhere; None: all that is counted lies inside."""
    x, y = [counted.x0, counted.x1], [counted.y0, counted.y1]
    corners = np.array([[across, down, 1] for across in x for down in y], np.float64)
    back = corners @ cv2.invertAffineTransform(matrix).T
    if (back >= 1 + _CLEAR).all() and (back <= np.array(frame[1::-1]) - (2 + _CLEAR)).all():
        return None
    there = cv2.warpAffine(np.ones(frame, np.float32), matrix, size) > 0.99
    near = np.ones((2 * _CLEAR + 1, 2 * _CLEAR + 1))
    return cv2.erode(there.view(np.uint8), near, borderValue=1).astype(np.float32)


def _counted(masks: np.ndarray) -> Box:
    """(2, h, w) -> the part in which one of them is not 0."""
    x, y, width, height = cv2.boundingRect((masks.max(axis=0) > 0).view(np.uint8))
    return Box(x, y, x + width, y + height)


def _by_band(masks: np.ndarray) -> list[_BandMask]:
    """(2, h, w) -> the masks at the resolution of each band."""
    steps = [1, *(2 ** max(band - 1, 0) for band in range(1, BANDS))]
    shrunk = [np.ascontiguousarray(masks[:, ::step, ::step]) for step in steps]
    return [_BandMask(one, np.array([cv2.sumElems(mask)[0] for mask in one])) for one in shrunk]


def _energies(luma: np.ndarray, masks: list[_BandMask]) -> np.ndarray:
    """luma: (h, w) float32; masks: one for each band."""
    energies = np.empty((2, BANDS), np.float32)
    smooth = cv2.GaussianBlur(luma, (0, 0), 1.0)
    for band, (mask, weights) in enumerate(masks):
        square = cv2.subtract(luma, smooth)
        cv2.multiply(square, square, dst=square)
        # OpenCV's sums are those of float64: their order depends on where an array lies in memory.
        totals = np.array([cv2.sumElems(cv2.multiply(part, square))[0] for part in mask])
        energies[:, band] = np.where(weights > 0, totals / np.maximum(weights, 1e-6), np.nan)
        # A Gaussian of 1 and one of sqrt(3) make one of 2, which is 1 again on half as many pixels.
        luma = smooth if band == 0 else np.ascontiguousarray(smooth[::2, ::2])
        smooth = cv2.GaussianBlur(luma, (0, 0), np.sqrt(3.0))
    return energies


def _sigmas() -> np.ndarray:
    return np.array([0.0, *(2.0**band for band in range(BANDS))])


@cache
def _white_energies() -> np.ndarray:
    """(BANDS,): energy that white noise of variance 1 leaves in each band."""
    fine, coarse = _sigmas()[:-1] ** 2, _sigmas()[1:] ** 2
    upper = np.where(fine > 0, 1 / (4 * np.pi * np.maximum(fine, 1e-9)), 1.0)
    return upper - 1 / (np.pi * (fine + coarse)) + 1 / (4 * np.pi * coarse)


def band_filters(frequency: np.ndarray) -> np.ndarray:
    """(BANDS, K): share of the energy at each frequency, (K,) cycles per pixel, in each band."""
    passed = np.exp(-2 * (np.pi * _sigmas()[:, None] * frequency) ** 2)
    filters: np.ndarray = np.diff(passed, axis=0) ** 2
    return filters


@cache
def _model_slopes() -> np.ndarray:
    """(len(_WIDTHS), BANDS - 1): log amplitude ratios of neighbouring bands, 1/f image."""
    frequency = np.linspace(0.001, 0.5, 1000)  # cycles per pixel
    bands = band_filters(frequency)
    blurred = np.exp(-4 * (np.pi * _WIDTHS[:, None] * frequency) ** 2) / frequency
    return np.diff(np.log(blurred @ bands.T + 1e-30), axis=-1) / 2
