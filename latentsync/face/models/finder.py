"""Finds faces or palms in a frame: MediaPipe's single-shot networks, their anchors and decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentsync.face.models.regions import Region, cut
from latentsync.runtime.model_file import ModelRunner

GROUP = 0.3
"""Boxes that overlap the best one by more are averaged with it."""
LOGIT_LIMIT = 100.0


@dataclass(frozen=True, slots=True)
class Layout:
    """What differs between the finders.

    cells: for each grid its cells per side, and anchors per cell. signed: the input is in [-1, 1],
    otherwise in [0, 1]. Everything else follows from the model.
    """

    cells: tuple[tuple[int, int], ...]
    signed: bool


NEAR_FACES = Layout(cells=((16, 2), (8, 6)), signed=True)
"""BlazeFace short range: six points (eyes, nose tip, mouth, ears; the viewer's left eye first)."""
FAR_FACES = Layout(cells=((48, 1),), signed=True)
"""BlazeFace full range, for small faces: the same points."""
PALMS = Layout(cells=((24, 2), (12, 6)), signed=False)
"""Seven points: wrist, the fingers' bases from the index on, and the thumb's two joints."""


@dataclass(frozen=True, slots=True, eq=False)
class Find:
    """score: 0..1. place: the box, frame pixels. points: (K, 2) frame pixels."""

    score: float
    place: Region
    points: np.ndarray


class Finder:
    """One network with one layout; for one thread at a time."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Raises CheckpointError for a file that cannot be read."""
        self._network = ModelRunner(path)
        self._side = self._network.shapes[0][1]
        self._anchors = anchors(layout.cells)
        self._signed = layout.signed

    def __call__(self, frame: np.ndarray, region: Region, floor: float) -> list[Find]:
        """What is in the region, best first.

        frame: (H, W, 3) uint8 RGB. floor: least score, 0..1; it takes part in the box, which is an
        average.
        """
        pixels = cut(frame, region, self._side, black=True).astype(np.float32)
        values = pixels / 127.5 - 1 if self._signed else pixels / 255
        raw, logits = self._network(values[None])
        scores = 1 / (
            1 + np.exp(-np.clip(logits.ravel().astype(np.float64), -LOGIT_LIMIT, LOGIT_LIMIT))
        )
        likely = np.flatnonzero(scores >= floor)
        decoded = self._decode(raw[0][likely], self._anchors[likely])
        groups = suppress(scores[likely], decoded)
        return [_placed(score, values, region) for score, values in groups]

    def _decode(self, raw: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """(N, 2 + K, 2) shares of the square: corners of the box, then the points."""
        pairs = raw.astype(np.float64).reshape(*raw.shape[:-1], raw.shape[-1] // 2, 2) / self._side
        centers, halves = pairs[:, 0] + anchors, pairs[:, 1] / 2
        corners = np.stack([centers - halves, centers + halves], axis=1)
        return np.concatenate([corners, pairs[:, 2:] + anchors[:, None]], axis=1)


def anchors(cells: Sequence[tuple[int, int]]) -> np.ndarray:
    """(N, 2) x, y: the cells' centres, 0..1, in the order of the networks' outputs."""
    grids = []
    for side, count in cells:
        rows, columns = np.mgrid[0:side, 0:side]
        centers = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / side
        grids.append(np.repeat(centers, count, axis=0))
    return np.concatenate(grids)


def suppress(scores: np.ndarray, boxes: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """(N,) scores and (N, 2 + K, 2) boxes with points -> best first, each with its score.

    A group is averaged, weighted by score; its score is that of its best.
    """
    sound = np.all(boxes[:, 1] >= boxes[:, 0], axis=1).tolist()
    order = [index for index in np.argsort(-scores, kind="stable") if sound[index]]
    left, groups = np.array(order, int), []
    while len(left):
        together = _overlaps(boxes[left[0], :2], boxes[left, :2]) > GROUP
        together[0] = True
        group = left[together]
        mean = np.average(boxes[group], axis=0, weights=scores[group])
        groups.append((float(scores[group[0]]), mean))
        left = left[~together]
    return groups


def _overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of one box (2, 2) with others (N, 2, 2)."""
    shared = np.minimum(box[1], boxes[:, 1]) - np.maximum(box[0], boxes[:, 0])
    area = np.clip(shared, 0, None).prod(axis=1)
    union = (box[1] - box[0]).prod() + (boxes[:, 1] - boxes[:, 0]).prod(axis=1) - area
    return np.divide(area, union, out=np.zeros_like(area), where=union > 0)


def _placed(score: float, values: np.ndarray, region: Region) -> Find:
    x, y = region.points(values[:2].mean(axis=0, keepdims=True))[0].tolist()
    width, height = ((values[1] - values[0]) * (region.width, region.height)).tolist()
    return Find(score, Region(x, y, width, height, region.angle), region.points(values[2:]))
