"""The restoration stage shows what its restorer makes of whole squares, and works on less."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional

from latentsync.face.composite import composite
from latentsync.face.masks import region_mask
from latentsync.geometry import FFHQ_TEMPLATE, extract
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.engine import FEW, Engine
from latentsync.pipeline.planning.plan import RenderPlan, TrackPlan
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.restore import RestoreStage, _all_finite
from latentsync.restoration.base import Windowed
from latentsync.restoration.edge_blur import FIGURES
from latentsync.restoration.gate import MouthState
from latentsync.restoration.patch import ffhq_geometry, residual
from latentsync.restoration.sharpness import BANDS
from latentsync.restoration.temporal import ResidualSmoother
from latentsync.settings.load import load_config
from latentsync.settings.schema import RestoreConfig
from latentsync.types import Alignment, Box, Frame, Patch, PatchedFrame

IDENTITY = np.eye(2, 3, dtype=np.float32)
FIVE_POINTS = FFHQ_TEMPLATE * 0.7 + [30, 120]  # in an aligned crop, which is the frame
SQUARE = 512
DEVICE = torch.device("cpu")


class Painter:
    """Sharpens, brightens, and adds a texture to the whole square."""

    name = "painter"
    size: int | None = SQUARE

    def __init__(self) -> None:
        self.painted = 0

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        self.painted += len(faces)
        soft = functional.avg_pool2d(faces, 5, stride=1, padding=2, count_include_pad=False)
        texture = 0.3 * torch.rand(faces.shape[1:], generator=torch.manual_seed(0))
        return (2 * faces - soft + texture).clamp(-1, 1)


class WindowedPainter(Painter):
    """Paints a window; leaves what is around as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[Box] = []

    def within(self, box: Box) -> PaintedWindow:
        self.windows.append(box)
        return PaintedWindow(self, box)


class PaintedWindow:
    name = "painted window"
    size: int | None = SQUARE

    def __init__(self, painter: Painter, box: Box) -> None:
        self._painter, self._box = painter, box

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        place = (..., slice(self._box.y0, self._box.y1), slice(self._box.x0, self._box.x1))
        result = faces.clone()
        result[place] = self._painter(faces)[place]
        return result


def video(count: int, *, still: bool = False) -> list[Frame]:
    """Frames (560, 420), smooth; each another one, or all alike."""
    images = []
    for index in range(count):
        noise = torch.rand((1, 3, 70, 53), generator=torch.manual_seed(0 if still else index))
        smooth = functional.interpolate(noise, (560, 420), mode="bicubic")[0].clamp(0, 1)
        pixels = (smooth * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        images.append(Frame(index, index / 25, index, pixels))
    return images


def planned(tracks: Sequence[int], region: str = "mouth") -> RenderPlan:
    """One frame for each number of a track, the same place in all of them; all are restored."""
    count, index = len(tracks), np.arange(len(tracks))
    points = np.zeros((1, 2), np.float32)
    alignments: list[Alignment | None] = [Alignment(IDENTITY, points, 1.0, t) for t in tracks]
    energies = np.ones((count, 2, BANDS), np.float32)
    edges = np.ones((count, len(FIGURES)), np.float32)
    people = index * 0 + 1
    analysis = SourceAnalysis(index, index / 25, index < 0, alignments, energies, people, edges)
    geometry = ffhq_geometry(IDENTITY[None], FIVE_POINTS[None], region_mask(region))
    one = np.ones(count, np.float32)
    return RenderPlan(
        analysis,
        frame_size=(420, 560),
        speech=False,
        source=index,
        pts=index,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        track=analysis.tracks,
        matrices=analysis.matrices,
        chunk=np.full(count, -1),
        jumps=index < 0,
        scale=one,
        sharpness=one * 0,
        blur=one,
        mouth_state=np.full(count, MouthState.DEGRADED, np.int8),
        strength=one.copy(),
        visible=one,
        shown=one,
        closed=one * 0,
        sampled=np.empty(0, np.int64),
        tracks={track: TrackPlan(geometry, energies) for track in tracks},
    )


def stage_of(restorer, plan: RenderPlan, **settings) -> RestoreStage:
    config = RestoreConfig(**{"batch": 4, **settings})
    return RestoreStage(lambda _track: restorer, plan, config, DEVICE, size=restorer.size)


def run(stage: RestoreStage, frames: Sequence[Frame]) -> list[PatchedFrame]:
    return list(stage([PatchedFrame(f.index, f) for f in frames], timer=StageTimer()))


def shown(items: Sequence[PatchedFrame]) -> list[np.ndarray]:
    return [composite(item.frame, item.patches) for item in items]


def by_hand(frames: Sequence[Frame], plan: RenderPlan, *, beta: float = 0.0) -> list[np.ndarray]:
    """Whole squares throughout."""
    geometry, smoother, painter = plan.tracks[0].geometry, ResidualSmoother(beta), Painter()
    matrix = geometry.matrix(IDENTITY)
    images = []
    for frame in frames:
        crop = extract(frame.pixels, matrix, geometry.size)
        change = residual(painter(crop[None]), crop[None], highpass_sigma=SQUARE / 56)[0]
        patch = Patch(smoother(change, crop), matrix, geometry.mask, additive=True)
        images.append(composite(frame, [patch]))
    return images


@pytest.mark.parametrize("region", ["mouth", "lower_face", "face"])
@pytest.mark.parametrize("beta", [0.0, 0.6])
def test_what_shows_is_what_whole_squares_would_show(region: str, beta: float) -> None:
    frames, plan = video(3, still=beta > 0), planned([0] * 3, region)
    painter = WindowedPainter()
    made = shown(run(stage_of(painter, plan, temporal=beta), frames))
    for ours, expected, frame in zip(made, by_hand(frames, plan, beta=beta), frames, strict=True):
        assert np.abs(expected.astype(int) - frame.pixels).max() > 5, "else nothing was painted"
        assert np.abs(ours.astype(int) - expected).max() <= 1  # half a level, rounded
        assert (ours != expected).mean() < 1e-4
    assert isinstance(painter, Windowed)


def test_a_restorer_is_limited_once_for_each_track_to_what_will_show() -> None:
    painter, plan = WindowedPainter(), planned([0, 0, 0, 1, 1])
    run(stage_of(painter, plan, batch=1), video(5))
    mask = plan.tracks[0].geometry.mask
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    halo = 28  # three sigma of a 56th of the square
    box = Box(
        int(columns[0]) - halo,
        int(rows[0]) - halo,
        int(columns[-1]) + 1 + halo,
        min(int(rows[-1]) + 1 + halo, SQUARE),
    )
    assert painter.windows == [box, box]


def test_a_patch_holds_no_more_than_shows() -> None:
    plan = planned([0, 0])
    first, second = (item.patches[0] for item in run(stage_of(Painter(), plan), video(2)))
    assert first.pixels.shape[1:] == first.mask.shape
    assert first.mask.any(axis=0).all()
    assert first.mask.any(axis=1).all()
    assert first.mask is second.mask


def test_a_still_video_is_restored_once() -> None:
    frames, plan = video(5, still=True), planned([0] * 5)
    painter, busy = Painter(), Painter()
    stage = stage_of(painter, plan, reuse=2.0, batch=2)
    spared, expected = shown(run(stage, frames)), shown(run(stage_of(busy, plan), frames))
    assert (painter.painted, busy.painted, stage.reused) == (1, 5, 4)
    assert all(np.array_equal(a, b) for a, b in zip(spared, expected, strict=True))


def test_a_video_that_moves_is_restored_frame_by_frame() -> None:
    painter = Painter()
    stage = stage_of(painter, planned([0] * 4), reuse=2.0)
    run(stage, video(4))
    assert (painter.painted, stage.reused) == (4, 0)


def test_nothing_is_taken_over_from_another_track_or_across_a_gap() -> None:
    painter, plan = Painter(), planned([0, 0, 1, 1, 1])
    plan.strength[3] = 0
    stage = stage_of(painter, plan, reuse=2.0)
    run(stage, video(5, still=True))
    assert (painter.painted, stage.reused) == (3, 1)


def test_a_restorer_without_a_square_is_not_reused() -> None:
    painter = Painter()
    painter.size = None
    stage = stage_of(painter, planned([0] * 3), reuse=2.0)
    run(stage, video(3, still=True))
    assert (painter.painted, stage.reused) == (3, 0)


def test_two_faces_in_turn_are_both_restored() -> None:
    painter = WindowedPainter()
    frames, plan = video(4), planned([0, 1, 0, 1])
    made = run(stage_of(painter, plan), frames)
    assert len(painter.windows) == 4
    assert all(len(item.patches) == 1 for item in made)


def test_a_batch_of_faces_is_restored_at_once() -> None:
    assert Engine(load_config(None, ["restore.batch=7"])).restore_batch == 7
    assert Engine(load_config(None, ["runtime.device=cpu"])).restore_batch == FEW


def test_each_track_is_restored_by_the_restorer_that_is_ready_for_it() -> None:
    painters, plan = {0: Painter(), 1: Painter()}, planned([0, 0, 1])
    stage = RestoreStage(
        painters.__getitem__, plan, RestoreConfig(batch=4), DEVICE, size=Painter.size
    )
    run(stage, video(3))
    assert [painter.painted for painter in painters.values()] == [2, 1]


def test_a_frame_is_restored_by_its_place_in_the_output_not_in_the_video() -> None:
    """A frame that is shown again is restored there only where the plan says so."""
    plan = planned([0, 0, 0, 0])
    plan.strength[:] = [0, 1, 0.5, 0]
    (frame,) = video(1)
    stage = stage_of(Painter(), plan)
    items = list(stage([PatchedFrame(i, frame) for i in range(4)], timer=StageTimer()))
    assert [len(item.patches) for item in items] == [0, 1, 1, 0]
    whole, half = (items[i].patches[0].pixels for i in (1, 2))
    torch.testing.assert_close(half, whole / 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_number_of_a_mouth_may_be_missing_or_infinite(bad: float) -> None:
    images = torch.full((1, 3, 8, 8), 3e38)
    assert _all_finite(images)  # though their sum is not
    images[0, 1, 2, 3] = bad
    assert not _all_finite(images)
    small = torch.zeros(1, 3, 8, 8)
    small[0, 1, 2, 3] = bad
    assert not _all_finite(small)
