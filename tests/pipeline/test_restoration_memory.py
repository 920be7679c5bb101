"""Temporal state of the restoration is reset at the end of a track and at missing frames."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.restoration.base import Moment
from tests.pipeline.test_restoration import planned, run, stage_of, video
from tests.support.coded_mouths import Moments

STEADY = 0.8  # restore.temporal


class Flickering:
    """Adds another texture to each face that it is given."""

    name, size = "flickering", 512

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        textures = []
        for _ in faces:
            self.seen += 1
            textures.append(torch.randn(faces.shape[1:], generator=torch.manual_seed(self.seen)))
        return faces + 0.1 * torch.stack(textures)


def changes(plan: RenderPlan, *, temporal: float, batch: int) -> dict[int, torch.Tensor]:
    """By the frame's number, what is added to a video of one still image."""
    stage = stage_of(Flickering(), plan, temporal=temporal, batch=batch)
    frames = video(len(plan.strength), still=True)
    made = run(stage, frames)
    return {item.index: item.patches[0].pixels for item in made if item.patches}


def smoothed(plan: RenderPlan, batch: int) -> list[int]:
    """The frames whose change is mixed with earlier ones."""
    steady, plain = (changes(plan, temporal=beta, batch=batch) for beta in (STEADY, 0.0))
    return [number for number in plain if not torch.equal(steady[number], plain[number])]


@pytest.mark.parametrize("batch", [1, 4])
def test_frames_of_one_track_are_smoothed_from_the_second_on(batch: int) -> None:
    assert smoothed(planned([0] * 4), batch) == [1, 2, 3]


@pytest.mark.parametrize("batch", [1, 4])
def test_nothing_is_smoothed_across_a_cut_even_where_the_image_stays(batch: int) -> None:
    assert smoothed(planned([0, 0, 1, 1]), batch) == [1, 3]


@pytest.mark.parametrize("batch", [1, 4])
def test_nothing_is_smoothed_across_a_frame_that_is_not_restored(batch: int) -> None:
    plan = planned([0] * 5)
    plan.strength[2] = 0
    assert smoothed(plan, batch) == [1, 4]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_steady_restorer_starts_anew_with_a_track_and_at_a_gap(batch: int) -> None:
    restorer, plan = Moments(), planned([0, 0, 0, 0, 1, 1])
    plan.strength[2] = 0
    run(stage_of(restorer, plan, batch=batch), video(6))
    first = [Moment(0, True), Moment(1, False), Moment(3, True)]
    assert restorer.tracks == [first, [Moment(4, True), Moment(5, False)]]
    assert restorer.alone == 0


def test_a_mouth_that_was_reused_leaves_no_gap() -> None:
    restorer = Moments()
    first, second, third = video(3)
    frames = [first, second, replace(second, index=2), replace(third, index=3)]
    run(stage_of(restorer, planned([0] * 4), reuse=2.0), frames)
    assert restorer.tracks == [[Moment(0, True), Moment(1, False), Moment(3, False)]]


def test_with_a_margin_of_zero_every_frame_is_restored_by_itself() -> None:
    restorer = Moments()
    run(stage_of(restorer, planned([0] * 3), code_margin=0.0), video(3))
    assert (restorer.tracks, restorer.alone) == ([], 3)


def test_the_stage_measures_its_flicker_by_track() -> None:
    stage = stage_of(Flickering(), planned([0] * 18 + [1] * 16))
    run(stage, video(34, still=True))
    assert {track: one.pairs for track, one in stage.flicker.tracks.items()} == {0: 2, 1: 1}
    assert all(one.result > 10 * one.source for one in stage.flicker.tracks.values())
