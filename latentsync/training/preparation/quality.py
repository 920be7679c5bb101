"""Step `quality`: how the face looks, by HyperIQA or, without its weights, by the eyes' edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentsync.evaluate.measures.face_quality import Scorer, middle_of_face
from latentsync.geometry import generator_scale
from latentsync.pipeline.analysis import place_of
from latentsync.restoration.edge_blur import FIGURES, edge_figures, measured_scale
from latentsync.training.preparation.manifest import DROPPED, NOT_JUDGED, Judged, Piece
from latentsync.training.preparation.settings import PreparationSettings
from latentsync.types import Alignment

SCORED, LOOKED_AT = 3, 10
"""Frames of a clip: by HyperIQA, and without it."""
_EYES = FIGURES.index("eyes")


class ClipQuality:
    """Looks at the first, the middle and the last frame of a clip, as LatentSync does; without
    HyperIQA at ten, as that costs little and a single frame may be blurred by motion."""

    def __init__(self, piece: Piece, score: Scorer | None, resolution: int) -> None:
        count = LOOKED_AT if score is None else SCORED
        self._at = set(np.linspace(piece.start, piece.stop - 1, count).round().astype(int).tolist())
        self._score, self._resolution = score, resolution
        self._found: list[float] = []

    def add(self, pixels: np.ndarray, instant: int, alignment: Alignment) -> None:
        """pixels: (H, W, 3) uint8 RGB, the source's frame."""
        if instant not in self._at:
            return
        if self._score is not None:
            self._found.append(self._score(middle_of_face(pixels, alignment.matrix)))
        else:
            self._found.append(blur_of(pixels, alignment, self._resolution))

    def judged(self, piece: Piece, settings: PreparationSettings) -> Judged:
        if self._score is not None:
            return _by_score(piece, float(np.mean(self._found)), settings)
        return judge_blur(piece, self._found, settings)


def blur_of(pixels: np.ndarray, alignment: Alignment, resolution: int) -> float:
    """Sigma of the sharpest edges at the eyes [pixels of the clip]; nan: none can be measured."""
    place = place_of(alignment.landmarks, alignment.matrix)
    variance = float(edge_figures(pixels, place)[_EYES])
    scale = float(measured_scale(alignment.matrix) / generator_scale(alignment.matrix, resolution))
    return float(np.sqrt(max(variance, 0.0)) * scale) if np.isfinite(variance) else float("nan")


def _by_score(piece: Piece, score: float, settings: PreparationSettings) -> Judged:
    if score < settings.min_quality:
        reason = f"HyperIQA gives {score:.0f} of 100 (--min_quality)"
        return Judged(piece, DROPPED, reason, {"quality": score})
    return Judged(piece, figures={"quality": score})


def judge_blur(piece: Piece, found: Sequence[float], settings: PreparationSettings) -> Judged:
    """found: sigma of each frame that was looked at; nan: not measured."""
    known = [one for one in found if np.isfinite(one)]
    why = "HyperIQA's weights are not here"
    if not known:
        return Judged(piece, NOT_JUDGED, f"{why}, and no edge at the eyes is clear")
    blur = float(np.median(known))
    if blur > settings.max_blur:
        reason = f"edges at the eyes are {blur:.1f} pixels wide (--max_blur): {why}"
        return Judged(piece, DROPPED, reason, {"blur": blur})
    return Judged(piece, reason=f"by the edges at the eyes: {why}", figures={"blur": blur})
