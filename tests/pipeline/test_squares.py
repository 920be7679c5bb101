"""A generator may take a box of the aligned crop: it is cut and laid back in the same place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from latentsync.face.composite import composite
from latentsync.generate.base import Footage
from latentsync.geometry import box_to_square, square
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.source import Clip, footage_of
from latentsync.pipeline.squares import Squares
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.generate import GenerateStage
from latentsync.types import Alignment, Chunk, Frame, PatchedFrame
from tests.support.plans import alignment_of, analysis_of, plan_of

SIZE = 96
BOX = 40.0, -30.0, 380.0, 450.0
WHOLE = np.ones((560, 420), np.float32)


class Boxed:
    """Returns the crops, with red in the masked part of the frames in ``red``."""

    name, size, chunk_frames, audio = "boxed", SIZE, 4, None

    def __init__(self, red: Sequence[int] = ()) -> None:
        self.mask = np.zeros((SIZE, SIZE), np.float32)
        self.mask[SIZE // 2 : -8, 8:-8] = 1
        self._red = red
        self.chunks: list[Chunk] = []

    def box(self, faces: Sequence[Alignment]) -> tuple[float, float, float, float]:
        left, top, right, bottom = BOX
        return left + 10 * faces[0].track, top, right, bottom + len(faces)

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        self.chunks.append(chunk)
        mouths = chunk.crops.clone()
        for place, number in enumerate(chunk.frames):
            if number in self._red:
                mouths[place] = torch.tensor([1.0, -1, -1])[:, None, None]
        return mouths


def frame(index: int) -> Frame:
    x, y = np.meshgrid(np.arange(700), np.arange(480))
    waves = np.stack([np.sin((x + k * y + 5 * index) / 30) for k in range(3)], axis=2)
    return Frame(index, index / 25, index, (127.5 + 100 * waves).astype(np.uint8))


@pytest.fixture(scope="module")
def plan() -> RenderPlan:
    """Four frames of track 0 and four of track 1, each a chunk."""
    alignments = [alignment_of(n // 4, 250.0 + 20 * (n // 4)) for n in range(8)]
    analysis = analysis_of(alignments, [4])
    plan = plan_of(analysis)
    return replace(plan, chunk=np.repeat([0, 1], 4), speech=True)


def staged(generator: Any, plan: RenderPlan, **more: Any) -> list[PatchedFrame]:
    squares = Squares.of(generator, plan.analysis)
    stage = GenerateStage(
        generator,
        plan,
        np.arange(len(plan)),
        WHOLE,
        fill=True,
        as_upstream=False,
        squares=squares,
        **more,
    )
    items = (PatchedFrame(n, frame(n)) for n in range(len(plan)))
    windows = (torch.empty(0, 0) for _ in plan.chunk)
    return list(stage(items, windows, timer=StageTimer()))


def test_the_whole_crop_is_a_box_as_well() -> None:
    np.testing.assert_allclose(box_to_square((0, 0, 420, 560), 256), square(256))
    matrix = box_to_square((100, 50, 300, 250), 100)
    assert matrix @ [99.5, 49.5, 1] == pytest.approx([-0.5, -0.5])
    assert matrix @ [299.5, 249.5, 1] == pytest.approx([99.5, 99.5])


def test_each_track_has_one_box_by_all_its_frames(plan: RenderPlan) -> None:
    boxes = Squares.of(Boxed(), plan.analysis).boxes
    assert boxes == {0: (40.0, -30.0, 380.0, 454.0), 1: (50.0, -30.0, 380.0, 454.0)}


def test_crops_in_chunks_and_in_footage_are_the_box(plan: RenderPlan) -> None:
    generator = Boxed()
    staged(generator, plan)
    given = torch.cat([chunk.crops for chunk in generator.chunks])
    squares = Squares.of(generator, plan.analysis)
    info: Any = type("Info", (), {"path": "clip", "audio": ()})
    clip = Clip.__new__(Clip)
    clip.info, clip._frames = info, [frame(n) for n in range(8)]
    footage: Footage = footage_of(clip, plan.analysis, squares=squares)
    assert torch.equal(torch.stack(list(footage.crops(np.arange(8), SIZE))), given)
    matrix = squares.matrix(plan.matrices[0], 0)
    x, y = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2] @ [20, 60, 1]
    there = frame(0).pixels[round(y), round(x)] / 127.5 - 1
    assert given[0, :, 60, 20].numpy() == pytest.approx(there, abs=0.1)


def test_what_is_not_new_lands_where_it_was(plan: RenderPlan) -> None:
    for item in staged(Boxed(), plan):
        laid = composite(item.frame, item.patches)
        assert np.abs(laid.astype(int) - item.frame.pixels).max() <= 12, "it was scaled twice"
        assert (laid != item.frame.pixels).any()


def test_only_the_generator_s_own_part_of_the_box_is_laid(plan: RenderPlan) -> None:
    items = staged(Boxed(red=range(8)), plan)
    for item in (items[0], items[7]):
        laid = composite(item.frame, item.patches)
        red = (laid == [255, 0, 0]).all(axis=2)
        matrix = Squares.of(Boxed(), plan.analysis).matrix(
            plan.matrices[item.index], int(plan.track[item.index])
        )
        y, x = np.mgrid[:480, :700]
        u, v = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))
        inside = (u > 9) & (u < SIZE - 10) & (v > SIZE // 2 + 1) & (v < SIZE - 10)
        outside = (u < 6) | (u > SIZE - 7) | (v < SIZE // 2 - 2) | (v > SIZE - 7)
        assert red[inside].all() and inside.sum() > 1000
        assert (laid[outside] == item.frame.pixels[outside]).all()


def test_in_a_pause_the_closed_mouth_is_laid_over_the_same_place(plan: RenderPlan) -> None:
    """closed: the crop itself, so that nothing but the frame is seen."""
    paused = replace(plan, closed=np.ones(len(plan), np.float32))
    for item in staged(Boxed(red=range(8)), paused, closed=lambda _number, crop: crop):
        laid = composite(item.frame, item.patches)
        assert np.abs(laid.astype(int) - item.frame.pixels).max() <= 30, "it was scaled twice more"


def test_a_smaller_box_is_a_finer_mouth(plan: RenderPlan) -> None:
    squares = Squares(256, {1: (0.0, 0.0, 210.0, 280.0)})
    assert squares.resolution(np.array([0, 1, -1])).tolist() == [256, 512, 256]
