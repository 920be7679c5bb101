"""Pass 2, occluders: takes what is in front of the face out of the patches' masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import cv2
import numpy as np

from latentsync.face.composite import FINER, SOFTNESS
from latentsync.face.occlusion.cells import BESIDE, to_cells
from latentsync.face.occlusion.outline import face_mask
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.types import Patch, PatchedFrame


class OccludeStage:
    """Where something is in front of a face, and beside it, the frame stays as filmed; patches fade
    where the face is turned away.

    plans: of the speakers, whose tracks are different ones.
    """

    def __init__(self, plans: Sequence[RenderPlan]) -> None:
        self._plans = {track: plan for plan in plans for track in plan.tracks}

    def __call__(
        self, items: Iterable[PatchedFrame], *, timer: StageTimer
    ) -> Iterator[PatchedFrame]:
        for item in items:
            with timer.stage(Stage.OCCLUDE):
                done = self._cut(item)
            yield done

    def _cut(self, item: PatchedFrame) -> PatchedFrame:
        patches: list[Patch] = []
        for track, some in groupby(item.patches, key=lambda patch: patch.track):
            own, plan = tuple(some), self._plans.get(track)
            patches += own if plan is None else _shown(own, plan, item)
        return replace(item, patches=tuple(patches))


def _shown(own: tuple[Patch, ...], plan: RenderPlan, item: PatchedFrame) -> tuple[Patch, ...]:
    """The patches of one speaker, as far as they show."""
    source, matrix = int(plan.source[item.index]), plan.matrices[item.index]
    visible, covered = float(plan.visible[item.index]), _covered(plan, source, matrix)
    if covered is not None:
        own = cut_patches(own, covered, matrix)
    if visible < 1:
        own = tuple(replace(one, mask=(one.mask * visible).astype(np.float32)) for one in own)
    return own


def _covered(plan: RenderPlan, source: int, matrix: np.ndarray) -> np.ndarray | None:
    """(140, 105) float32 in [0, 1], the aligned crop in cells: occluders, and all but the face."""
    occluder, face = plan.analysis.occluders.mask_of(source), plan.analysis.alignments[source]
    if face is None or face.outline is None:
        return occluder
    beside = 1 - face_mask(face.outline, matrix)
    return beside if occluder is None else np.maximum(beside, occluder)


def cut_patches(
    patches: Iterable[Patch], occluder: np.ndarray, matrix: np.ndarray
) -> tuple[Patch, ...]:
    """The patches with smaller masks: where the occluder is 1 the composite is the frame, bit for
    bit.

    occluder: (140, 105) float32 in [0, 1], see Occluders. matrix: (2, 3), frame -> aligned crop.
    """
    # So that a patch's pixel that mixes cells inside the occluder and beside it counts as inside.
    grown = np.asarray(cv2.dilate(occluder, np.ones((3, 3), np.uint8)), np.float32)
    return tuple(_cut(patch, grown, matrix) for patch in patches)


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
