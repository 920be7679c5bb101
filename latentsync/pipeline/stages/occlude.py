"""Pass 2, occluders: takes what is in front of the face out of the patches' masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np

from latentsync.face.composite import FINER, SOFTNESS
from latentsync.face.occlusion.cells import BESIDE, to_cells
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.types import Patch, PatchedFrame


class Masks(Protocol):
    def mask_of(self, source_frame: int) -> np.ndarray | None:
        """(140, 105) float32 in [0, 1], the aligned crop in cells, 1 where the source stays; None:
        the patches keep their masks."""
        ...


class Planned(Protocol):
    """What the stage needs of a RenderPlan."""

    source: np.ndarray
    matrices: np.ndarray

    @property
    def occluders(self) -> Masks: ...


class OccludeStage:
    """Where something is in front of a face, its frame stays as the camera recorded it."""

    def __init__(self, plan: Planned, stage: Stage) -> None:
        """stage: the name under which it is timed."""
        self._plan, self._stage = plan, stage

    def __call__(
        self, items: Iterable[PatchedFrame], *, timer: StageTimer
    ) -> Iterator[PatchedFrame]:
        for item in items:
            with timer.stage(self._stage):
                done = self._cut(item)
            yield done

    def _cut(self, item: PatchedFrame) -> PatchedFrame:
        if not item.patches:
            return item
        occluder = self._plan.occluders.mask_of(int(self._plan.source[item.index]))
        if occluder is None:
            return item
        return cut_patches(item, occluder, self._plan.matrices[item.index])


def cut_patches(patched: PatchedFrame, occluder: np.ndarray, matrix: np.ndarray) -> PatchedFrame:
    """The frame with smaller masks: where the occluder is 1 the composite is the frame, bit for
    bit.

    occluder: (140, 105) float32 in [0, 1], see Occluders. matrix: (2, 3), frame -> aligned crop.
    """
    patches = tuple(_cut(patch, occluder, matrix) for patch in patched.patches)
    return replace(patched, patches=patches)


def _cut(patch: Patch, occluder: np.ndarray, matrix: np.ndarray) -> Patch:
    cells = to_cells(matrix)
    cells[0, 2] -= BESIDE
    back = np.linalg.inv(np.vstack([patch.matrix.astype(np.float64), [0, 0, 1]]))
    height, width = patch.mask.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    to_patch = (cells @ back)[:2]
    keep = cv2.warpAffine(1 - occluder, to_patch, (width, height), flags=flags, borderMode=border)
    if keep.min() >= 1:
        return patch
    reach = _reach(patch.matrix)
    keep = cv2.erode(keep, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return replace(patch, mask=(patch.mask * np.clip(keep, 0, 1)).astype(np.float32))


def _reach(matrix: np.ndarray) -> int:
    """Patch pixels from which compositing mixes a mask into a frame pixel; see face.composite."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    # OpenCV's Gaussian ends at four sigmas, rounded to whole pixels.
    return 1 + (round(4 * SOFTNESS * scale) + 1 if scale > FINER else 0)
