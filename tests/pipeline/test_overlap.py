"""Mouths of chunks that share frames: in order, the same in any segment, and without a jump."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentsync.errors import ConfigError
from latentsync.generate.base import ChunkMouths
from latentsync.generate.diffusion import generator as latentsync
from latentsync.pipeline.planning.checks import check_overlap
from latentsync.pipeline.planning.linked_chunks import with_lead_in
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.planning.timeline import chunks, video_timeline
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.generate import GenerateStage
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.schema import Config, GenerateConfig
from latentsync.types import Chunk, Frame, PatchedFrame
from tests.support.plans import alignment_of, analysis_of, plan_of
from tests.support.tiny_latentsync import MODEL, RESOLUTION, write_tiny_model

SIZE = 16
OVERLAPS = [1, 4, 8]
MASK = np.ones((560, 420), np.float32)


def planned(tracks: list[int], overlap: int) -> RenderPlan:
    """tracks: of each frame; -1: no face."""
    alignments = [None if track < 0 else alignment_of(track) for track in tracks]
    analysis = analysis_of(alignments, np.flatnonzero(np.diff(tracks)) + 1)
    line = video_timeline(np.arange(len(tracks)), Fraction(1, 25), Fraction(25))
    numbers = chunks(line, np.array(tracks), analysis.pts_seconds, size=SIZE, overlap=overlap)
    return replace(plan_of(analysis, line, chunk=numbers), overlap=overlap)


@cache
def shown(index: int) -> PatchedFrame:
    """A gradient that moves slowly."""
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    waves = np.stack([np.sin((x + k * y + index / 10) / 40) for k in range(3)], axis=2)
    pixels = (127.5 + 100 * waves).astype(np.uint8)
    return PatchedFrame(index, Frame(index, index / 25, index, pixels))


@cache
def speech(index: int) -> torch.Tensor:
    """It changes steadily."""
    first, second = torch.randn(2, 50, 384, generator=torch.Generator().manual_seed(0))
    return first * np.cos(index / 10) + second * np.sin(index / 10)


def items(
    generator: Any, plan: RenderPlan, wanted: np.ndarray | None = None, **more: Any
) -> Iterator[PatchedFrame]:
    """The stage's output for the wanted frames; None: for all. Their lead-in comes out, too."""
    wanted = np.arange(len(plan)) if wanted is None else wanted
    read = with_lead_in(plan, wanted)
    stage = GenerateStage(generator, plan, wanted, MASK, fill=True, as_upstream=False, **more)
    windows = (speech(int(i)) for i in read if plan.chunk[i] >= 0)
    made = stage((shown(int(i)) for i in read), windows, timer=StageTimer())
    chosen = set(wanted.tolist())
    for item in made:
        assert item.index in chosen or not item.patches, "the lead-in is generated for them alone"
        if item.index in chosen:
            yield item


def mouths(*arguments: Any, **more: Any) -> dict[int, torch.Tensor]:
    """By output frame; empty without a face."""
    return {
        item.index: item.patches[0].pixels if item.patches else torch.empty(0)
        for item in items(*arguments, **more)
    }


class Numbering:
    """A generator whose mouths hold the chunk's number, and how far its anchors are known."""

    name, size, audio = "numbers", 8, None
    chunk_frames = SIZE

    def __init__(self, overlap: int) -> None:
        self.overlap = overlap
        self.chunks: list[Chunk] = []

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        self.chunks.append(chunk)
        return torch.full(chunk.crops.shape, float(chunk.index))

    def anchor(self, chunk: Chunk, *, first: bool, last: bool) -> ChunkMouths:
        frames, shared = len(np.unique(chunk.frames)), self.overlap
        own = slice(shared * first, frames - shared * last)
        return ChunkMouths(self(chunk)[own], (chunk.index, "first"), (chunk.index, "last"))

    def bridge(self, chunk: Chunk, before: Any, after: Any | None) -> torch.Tensor:
        assert before == (chunk.index - 1, "last")
        assert after in (None, (chunk.index + 1, "first"))
        return self(chunk)


@pytest.mark.parametrize("overlap", [0, *OVERLAPS])
def test_every_frame_comes_once_in_order_with_the_mouth_of_its_chunk(overlap: int) -> None:
    plan = planned([0] * 50 + [-1] * 3 + [1] * 20 + [2] * 7 + [-1] * 2, overlap)
    generator = Numbering(overlap)
    made = mouths(generator, plan)
    assert list(made) == list(range(len(plan)))
    for number, one in plan.linked_chunks().items():
        for index in range(*one.determined):
            assert (made[index] == number).all()
    assert [len(made[i]) for i in (50, 51, 52, 80, 81)] == [0] * 5
    assert sorted(one.index for one in generator.chunks) == list(plan.linked_chunks())
    for chunk in generator.chunks:
        assert len({int(plan.track[i]) for i in chunk.frames}) == 1


@pytest.mark.parametrize("overlap", [0, *OVERLAPS])
def test_the_stage_holds_no_more_than_two_chunks_of_frames(overlap: int) -> None:
    plan, read, most, given = planned([0] * 100, overlap), 0, 0, 0

    def counted() -> Iterator[PatchedFrame]:
        nonlocal read
        for index in range(len(plan)):
            read += 1
            yield shown(index)

    everything = np.arange(len(plan))
    stage = GenerateStage(Numbering(overlap), plan, everything, MASK, fill=True, as_upstream=False)
    for item in stage(counted(), iter(map(speech, range(100))), timer=StageTimer()):
        most, given = max(most, read - item.index), given + 1
    assert given == 100
    assert most <= (2 * SIZE if overlap else SIZE)


# Networks


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


def loaded(sections: dict[str, dict[str, Any]], **settings: Any) -> Any:
    mask = np.zeros((RESOLUTION, RESOLUTION), np.float32)
    mask[24:56, 8:56] = 1
    generate = GenerateConfig(**(sections["generate"] | settings))
    config = Config(data=sections["data"], model=sections["model"], generate=generate)
    return latentsync.load(config, REFERENCE, mask=mask)


class Mixing:
    """A U-Net that looks at all frames of its chunk, and costs nothing."""

    def step(self, sample: Any, *_: Any, **__: Any) -> Any:
        return (sample[:, :4] + sample[:, 5:9] - sample.mean()).tanh(), sample


@pytest.mark.parametrize("overlap", [1, 8])
def test_a_segment_with_its_lead_in_is_the_whole_bit_for_bit(
    sections: dict[str, dict[str, Any]], overlap: int
) -> None:
    generator = loaded(sections, overlap=overlap, steps=2)
    generator._unet = Mixing()
    plan = planned([0] * 34 + [1] * 8, overlap)
    whole = mouths(generator, plan)
    segments = [one.own for one in plan.linked_chunks().values()] + plan.segments(3)
    for start, stop in segments:
        made = mouths(generator, plan, np.arange(start, stop))
        assert list(made) == list(range(start, stop))
        assert all(torch.equal(made[i], whole[i]) for i in made)


def test_chunks_that_were_generated_before_are_those_of_the_run(
    sections: dict[str, dict[str, Any]],
) -> None:
    generator = loaded(sections, overlap=4, steps=2)
    generator._unet = Mixing()
    plan, ready = planned([0] * 52, 4), {}
    whole = mouths(generator, plan)
    sampled = np.arange(*plan.linked_chunks()[1].own)
    mouths(generator, plan, sampled, ready=ready, keep=4)
    assert sorted(ready) == [0, 1, 2]
    calls: list[int] = []
    denoised = generator._denoised

    def counted(chunk: Chunk, *arguments: Any, **more: Any) -> torch.Tensor:
        calls.append(chunk.index)
        return denoised(chunk, *arguments, **more)

    generator._denoised = counted
    made = mouths(generator, plan, ready=ready)
    assert all(torch.equal(made[i], whole[i]) for i in whole)
    assert calls == [3]


def largest_step(sections: dict[str, dict[str, Any]], overlap: int) -> float:
    """The change of the mouth from one frame to the next, against its average in the video: from
    the last frame before the shared ones to the first one after them, the average over all seams,
    and of these steps the largest. Without overlap there is one step."""
    plan = planned([0] * 40, overlap)
    generator = loaded(sections, overlap=overlap, steps=4, guidance=1.0)
    made = torch.stack(list(mouths(generator, plan).values()))
    moved = made.diff(dim=0).abs().mean(dim=(1, 2, 3)).numpy()
    seams = np.array([one.own[0] for one in plan.linked_chunks().values()][1:])
    steps = [moved[(seams + i - 1).clip(max=len(moved) - 1)].mean() for i in range(overlap + 1)]
    return float(max(steps) / np.median(moved))


def test_an_overlap_makes_the_jump_between_chunks_small(
    tmp_path: Path,
) -> None:
    """With three levels: frames depend on each other more, and there is more of a jump."""
    kinds = ["CrossAttnDownBlock3D"] * 2 + ["DownBlock3D"]
    levels = {
        "block_out_channels": [32, 64, 96],
        "down_block_types": kinds,
        "up_block_types": [kind.replace("Down", "Up") for kind in reversed(kinds)],
    }
    sections = write_tiny_model(tmp_path, model=MODEL | levels)
    without = largest_step(sections, 0)
    assert without > 1.25, "else there is nothing to show"
    for overlap in (4, 8):
        assert largest_step(sections, overlap) - 1 < 0.6 * (without - 1)


def test_a_plan_for_another_overlap_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"overlap: 0; the plan was made for 4: use that"):
        check_overlap(planned([0] * 20, 4), 0)
    check_overlap(planned([0] * 20, 4), 4)
