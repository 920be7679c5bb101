"""How wide the edges of the lips are, and of the eyes: the blur itself, measured without reference.

The width of an edge follows from how much its gradient falls when the frame is blurred once more by
a known amount (gradient ratio; Zhuo and Sim, Defocus map estimation from a single image, Pattern
Recognition 44, 2011): a wide edge hardly changes. The contrast cancels out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.geometry import ALIGNED_SIZE, frame_scale, part_of

FIGURES: tuple[str, ...] = ("lips", "eyes")
"""What is measured in a frame: blur of the sharpest edges of each, sigma squared [pixels squared]
at the measured scale (see measured_scale). Below 0 where an edge is sharper than one that a pixel
has averaged, as after sharpening."""

_NEAR, _FAR = 0.7, 1.4  # pixels: sigmas of the two blurs that gradients are compared at
# A central difference over two pixels acts on an edge as a blur of this variance [pixels squared].
_DIFFERENCE_VARIANCE = 1 / 3
_STRONGEST = 92.0  # percentile of a region's gradients from which on they count as edges
_LEAST_GRADIENT = 1.0  # code values a pixel: what is weaker is noise
_LEAST_EDGES = 8  # pixels; fewer tell nothing
_SHARPEST = 25.0  # percentile of the widths: most edges of a face are wide by nature
_REACH = 8  # pixels, of the blurs and of the difference

# In pixels of the aligned crop (geometry.TEMPLATE): 230 between the brows, 3.3 for a millimetre.
_EYE_HALF_AXES = (66.0, 36.0)
_LIPS_MARGIN = (9.0, 50.0)  # beyond the mouth's corners, and beyond the lips' inner edges
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
    # What is upright and one pixel long in the aligned crop, as it lies in the luma plane.
    axes = to_luma[:, :2] @ np.linalg.inv(place.matrix[:, :2].astype(np.float64))
    regions = (
        _Region.of(luma, lips_outline(mouth, axes)),
        _Region.of(luma, *(_oval(eye, axes * _EYE_HALF_AXES) for eye in eyes)),
    )
    return np.array([region.sharpest() for region in regions], np.float32)


def _face(pixels: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The luma (h, w) float32 of the face at the measured scale, and frame -> luma, (2, 3)."""
    part, from_part = part_of(pixels, matrix, ALIGNED_SIZE)
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


def lips_outline(
    mouth: np.ndarray, axes: np.ndarray, margin: tuple[float, float] = _LIPS_MARGIN
) -> np.ndarray:
    """(K, 2): an outline around the lips.

    mouth: (4, 2), see FacePlace. axes: (2, 2), its columns: the axes of the aligned crop, one of
    its pixels long. margin: aligned pixels beyond the mouth's corners and the lips' inner edges.
    """
    left, right, upper, lower = np.linalg.solve(axes, mouth.T).T
    half_axes = np.array([np.linalg.norm(right - left), np.linalg.norm(lower - upper)]) / 2
    return _oval(mouth.mean(axis=0), axes * (half_axes + margin))


def _moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """points: (K, 2), matrix: (2, 3) -> (K, 2)."""
    moved: np.ndarray = points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _oval(center: np.ndarray, half_axes: np.ndarray) -> np.ndarray:
    """(K, 2). half_axes: (2, 2), its columns."""
    return center + np.stack([np.cos(_ROUND), np.sin(_ROUND)], axis=1) @ half_axes.T


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """luma: (h, w) float32, the region and what is around it. inside: (h, w) bool."""

    luma: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, luma: np.ndarray, *outlines: np.ndarray) -> _Region:
        """outlines: (K, 2) each, points of luma; the region is what lies inside of any."""
        points, limit = np.concatenate(outlines), np.array(luma.shape[::-1])
        low = np.clip(np.floor(points.min(axis=0)) - _REACH, 0, limit).astype(int)
        high = np.clip(np.ceil(points.max(axis=0)) + _REACH + 1, low, limit).astype(int)
        part = luma[low[1] : high[1], low[0] : high[0]]
        drawn = np.zeros(part.shape, np.uint8)
        for outline in outlines if part.size else ():
            corners = np.rint((outline - low) * 2**_SUBPIXEL).astype(np.int32)
            cv2.fillPoly(drawn, [corners], 1, shift=_SUBPIXEL)
        return cls(part, drawn > 0)

    def sharpest(self) -> float:
        """Sigma squared [pixels squared] of the sharpest edges; nan: there are none."""
        if np.count_nonzero(self.inside) < _LEAST_EDGES:
            return np.nan
        across, down = _gradient(cv2.GaussianBlur(self.luma, (0, 0), _NEAR))
        strength = cv2.magnitude(across, down)
        least = max(float(np.percentile(strength[self.inside], _STRONGEST)), _LEAST_GRADIENT)
        edges = self.inside & (strength >= least) & _ridges(strength, across, down)
        if np.count_nonzero(edges) < _LEAST_EDGES:
            return np.nan
        far = cv2.magnitude(*_gradient(cv2.GaussianBlur(self.luma, (0, 0), _FAR)))
        squared = np.square(strength[edges] / np.maximum(far[edges], 1e-3))
        variances = (_FAR**2 - _NEAR**2) / np.maximum(squared - 1, 1e-3)
        return float(np.percentile(variances, _SHARPEST)) - _NEAR**2 - _DIFFERENCE_VARIANCE


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


def edge_variance(luma: np.ndarray, inside: np.ndarray) -> float:
    """Sigma squared [pixels squared] of a region's sharpest edges; nan: there are none.

    luma: (h, w) float32 code values, at the measured scale. inside: (h, w) bool.
    """
    return _Region(luma, inside).sharpest()
