"""How wide the edges of the lips are, and of the eyes: the blur itself, measured without reference.

The width of an edge follows from how much its gradient falls when the frame is blurred once more by
a known amount (gradient ratio; Zhuo and Sim, Defocus map estimation from a single image, Pattern
Recognition 44, 2011): a wide edge hardly changes. The contrast cancels out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.geometry import frame_scale, part_of

FIGURES: tuple[str, ...] = (
    "lips",
    "eyes",
    "upper_face",
    "lips_slope",
    "eyes_slope",
    "lips_contrast",
    "eyes_contrast",
    "noise_inside",
    "noise_outside",
)
"""What is measured in a frame, all at the measured scale (see measured_scale). lips, eyes,
upper_face: sigma of their sharpest edges [pixels]. *_slope: log energy of the second octave band
over the third. *_contrast: height of those edges [8-bit code values]. noise_*: median amplitude of
the finest band in the skin beside the lips, and between the eyes and above [code values]."""

_NEAR, _FAR = 0.7, 1.4  # pixels: sigmas of the two blurs that gradients are compared at
# A central difference over two pixels acts on an edge as a blur of this variance [pixels squared].
_DIFFERENCE_VARIANCE = 1 / 3
_STRONGEST = 92.0  # percentile of a region's gradients from which on they count as edges
_LEAST_GRADIENT = 1.0  # code values a pixel: what is weaker is noise
_LEAST_EDGES = 8  # pixels; fewer tell nothing
_SHARPEST = 25.0  # percentile of the sigmas: most edges of a face are wide by nature
_NARROWEST, _WIDEST = 0.2, 8.0  # pixels, sigma: what can be told apart
_BAND_SIGMAS = (0.6, 1.2, 2.4)  # pixels, each of what the one before has left
_FLAT = 40.0  # percentile of the gradients up to which skin is flat

# In pixels of the aligned crop (geometry.TEMPLATE): 230 between the brows, 3.3 for a millimetre.
_EYE_HALF_AXES = (66.0, 36.0)
_LIPS_MARGIN = (9.0, 50.0)  # beyond the mouth's corners, and beyond the lips' inner edges
_BESIDE_LIPS = (1.2, 1.9)  # ring around the lips, in their half axes
_UPPER_OVAL = (210.0, 166.0, 146.0, 86.0)  # brows, eyes, bridge of the nose: center, half axes
_ROUND = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_SUBPIXEL = 4  # bits


@dataclass(frozen=True, slots=True, eq=False)
class FacePlace:
    """Where a face lies in a frame; points (x, y) in frame pixels.

    matrix: (2, 3), frame -> aligned crop. eyes: (2, 2), their centers. mouth: (4, 2): its corners,
    then the inner edges of the upper and of the lower lip.
    """

    matrix: np.ndarray
    eyes: np.ndarray
    mouth: np.ndarray


def measured_scale(matrix: np.ndarray) -> np.ndarray:
    """(...): frame pixels per pixel that is measured, of (..., 2, 3) matrices frame -> aligned.

    A face is measured at the frame's own scale (1.0), but never larger than the aligned crop: what
    is finer on a large face is skin and light rather than focus, and would take long.
    """
    return np.maximum(frame_scale(matrix), 1.0)


def edge_figures(pixels: np.ndarray, place: FacePlace) -> np.ndarray:
    """(len(FIGURES),) float32; nan where the frame does not show enough of it.

    pixels: (H, W, 3) uint8 RGB, a frame.
    """
    luma, to_luma = _face(pixels, place.matrix)
    eyes, mouth = _moved(place.eyes, to_luma), _moved(place.mouth, to_luma)
    # Points of the aligned crop -> points of the luma plane: the shape of a face, drawn in place.
    upright = cv2.invertAffineTransform(place.matrix.astype(np.float64))
    axes = to_luma[:, :2] @ upright[:, :2]
    lips, ring = _mouth_regions(luma.shape, mouth, axes)
    each_eye = [_oval(eye, axes * _EYE_HALF_AXES) for eye in eyes]
    x, y, half_width, half_height = _UPPER_OVAL
    upper = _drawn(
        luma.shape,
        _oval(
            _moved(_moved(np.array([[x, y]]), upright), to_luma)[0],
            axes * (half_width, half_height),
        ),
    )
    both_eyes = _drawn(luma.shape, *each_eye)
    edges, bands = _Edges.of(luma), _bands(luma)
    lips_sigma, lips_contrast = edges.sharpest(lips)
    eyes_sigma, eyes_contrast = edges.sharpest(both_eyes)
    figures = [
        *(lips_sigma, eyes_sigma, edges.sharpest(upper)[0]),
        *(_slope(bands, lips), _slope(bands, both_eyes)),
        *(lips_contrast, eyes_contrast),
        *(_noise(bands, edges, region) for region in (ring, upper & ~both_eyes)),
    ]
    return np.array(figures, np.float32)


def _face(pixels: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The luma (h, w) float32 of the face at the measured scale, and frame -> luma, (2, 3)."""
    part, from_part = part_of(pixels, matrix, (560, 420))
    factor = float(measured_scale(matrix))
    luma = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    # Where the part begins: what is left of the shift that part_of has added.
    begin = np.linalg.solve(matrix[:, :2].astype(np.float64), from_part[:, 2] - matrix[:, 2])
    if factor > 1:
        height, width = (max(1, round(side / factor)) for side in luma.shape)
        scale = np.array([width, height]) / luma.shape[::-1]
        luma = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
    else:
        scale = np.ones(2)
    shift = (0.5 - begin) * scale - 0.5
    return luma.astype(np.float32), np.column_stack([np.diag(scale), shift])


def _mouth_regions(
    shape: tuple[int, ...], mouth: np.ndarray, axes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lips, and the ring of skin around them, (h, w) bool. mouth: (4, 2), axes: (2, 2)."""
    left, right, upper, lower = np.linalg.solve(axes, mouth.T).T
    half_axes = np.array([np.linalg.norm(right - left), np.linalg.norm(lower - upper)]) / 2
    half_axes += _LIPS_MARGIN
    center = mouth.mean(axis=0)
    lips, inner, outer = (
        _drawn(shape, _oval(center, axes * (half_axes * size))) for size in (1.0, *_BESIDE_LIPS)
    )
    return lips, outer & ~inner


def _moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """points: (K, 2), matrix: (2, 3) -> (K, 2)."""
    moved: np.ndarray = points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _oval(center: np.ndarray, half_axes: np.ndarray) -> np.ndarray:
    """(K, 2). half_axes: (2, 2), its columns."""
    return center + np.stack([np.cos(_ROUND), np.sin(_ROUND)], axis=1) @ half_axes.T


def _drawn(shape: tuple[int, ...], *outlines: np.ndarray) -> np.ndarray:
    """(h, w) bool, True inside of any of the outlines, (K, 2) each."""
    region = np.zeros(shape, np.uint8)
    for outline in outlines:
        corners = np.rint(outline * 2**_SUBPIXEL).astype(np.int32)
        cv2.fillPoly(region, [corners], 1, shift=_SUBPIXEL)
    return region > 0


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """(h, w) each. strength: gradient [code values a pixel]. sigma: of the edge [pixels]; what is
    no edge has one as well. ridge: whether no neighbour across the edge is stronger."""

    strength: np.ndarray
    sigma: np.ndarray
    ridge: np.ndarray

    @classmethod
    def of(cls, luma: np.ndarray) -> _Edges:
        across, down = _gradient(cv2.GaussianBlur(luma, (0, 0), _NEAR))
        strength = cv2.magnitude(across, down)
        far = cv2.magnitude(*_gradient(cv2.GaussianBlur(luma, (0, 0), _FAR)))
        squared = np.square(strength / np.maximum(far, 1e-3))
        variance = (_FAR**2 - _NEAR**2) / np.maximum(squared - 1, 1e-3)
        variance -= _NEAR**2 + _DIFFERENCE_VARIANCE
        sigma = np.sqrt(np.clip(variance, _NARROWEST**2, _WIDEST**2))
        return cls(strength, sigma, _ridges(strength, across, down))

    def sharpest(self, region: np.ndarray) -> tuple[float, float]:
        """Sigma [pixels] and contrast [code values] of the region's sharpest edges; nan: none."""
        gradients = self.strength[region]
        if len(gradients) < _LEAST_EDGES:
            return np.nan, np.nan
        least = max(float(np.percentile(gradients, _STRONGEST)), _LEAST_GRADIENT)
        edges = region & self.ridge & (self.strength >= least)
        if np.count_nonzero(edges) < _LEAST_EDGES:
            return np.nan, np.nan
        sigma, strength = self.sigma[edges], self.strength[edges]
        width = np.sqrt(2 * np.pi * (sigma**2 + _NEAR**2 + _DIFFERENCE_VARIANCE))
        return float(np.percentile(sigma, _SHARPEST)), float(np.median(strength * width))


def _gradient(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Across and down [code values a pixel]."""
    return (
        cv2.Scharr(plane, cv2.CV_32F, 1, 0, scale=1 / 32),
        cv2.Scharr(plane, cv2.CV_32F, 0, 1, scale=1 / 32),
    )


def _ridges(strength: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """(h, w) bool: as strong as both neighbours on the way across the edge, or stronger."""
    rows, columns = np.zeros_like(strength), np.zeros_like(strength)
    rows[1:-1] = np.maximum(strength[:-2], strength[2:])
    columns[:, 1:-1] = np.maximum(strength[:, :-2], strength[:, 2:])
    beside = np.where(np.abs(across) > np.abs(down), columns, rows)
    inside = np.zeros(strength.shape, bool)
    inside[2:-2, 2:-2] = True  # the frame's border repeats itself
    return inside & (strength >= beside)


def _bands(luma: np.ndarray) -> list[np.ndarray]:
    """(h, w) each, finest first."""
    bands = []
    for sigma in _BAND_SIGMAS:
        smooth = cv2.GaussianBlur(luma, (0, 0), sigma)
        bands.append(luma - smooth)
        luma = smooth
    return bands


def _slope(bands: list[np.ndarray], region: np.ndarray) -> float:
    """Log energy of the second band over that of the third."""
    if np.count_nonzero(region) < _LEAST_EDGES:
        return np.nan
    fine, coarse = (float(np.mean(np.square(band[region]))) for band in bands[1:3])
    return float(np.log((fine + 1e-3) / (coarse + 1e-3)))


def _noise(bands: list[np.ndarray], edges: _Edges, region: np.ndarray) -> float:
    """Median amplitude of the finest band where the region is flat [code values]."""
    if np.count_nonzero(region) < _LEAST_EDGES:
        return np.nan
    gradients = edges.strength[region]
    flat = gradients <= np.percentile(gradients, _FLAT)
    return float(np.median(np.abs(bands[0][region][flat])))
