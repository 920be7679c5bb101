"""Temporal state of the restoration is reset at the end of a track and at missing frames."""

from __future__ import annotations

import pytest
import torch

from latentsync.pipeline.planning.plan import RenderPlan
from tests.pipeline.test_restoration import planned, run, stage_of, video

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
