"""A closed mouth is the person's own, steady through a pause, and only where one fits the pose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.face.masks import upstream_mask
from latentsync.generate.base import Footage
from latentsync.generate.closed_mouth import (
    FAR,
    RAMP,
    ClosedMouths,
    _steady_path,
    closed_faces,
)
from latentsync.generate.replay.inputs import find_faces
from latentsync.generate.replay.lips import lip_shape
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import VideoFile, footage_of
from latentsync.settings.load import load_config

VIDEO = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"
PAUSE = np.arange(28, 70)
"""Frames in which the demo's speaker talks; take them for a pause of another speech."""


@pytest.fixture(scope="module")
def footage(talking: VideoAnalysis) -> Footage:
    with Session(Engine(load_config()), VIDEO, observed=talking) as session:
        return footage_of(VideoFile(probe(VIDEO)), session.analyze())


def prepared(footage: Footage, size: int = 256, frames: np.ndarray = PAUSE) -> ClosedMouths:
    count = len(footage.seconds)
    return ClosedMouths.prepare(
        footage,
        source=np.arange(count),
        seconds=footage.seconds,
        jumps=np.zeros(count, bool),
        closed=np.isin(np.arange(count), frames).astype(np.float32),
        mask=upstream_mask(size),
    )


def crops(footage: Footage, frames: np.ndarray, size: int = 256) -> torch.Tensor:
    return torch.stack(list(footage.crops(frames, size)))


def mouth(crop: torch.Tensor) -> torch.Tensor:
    size = crop.shape[-1]
    return crop[..., int(0.55 * size) : int(0.68 * size), int(0.35 * size) : int(0.65 * size)]


def made(mouths: ClosedMouths, footage: Footage, frames: np.ndarray) -> torch.Tensor:
    closed = [mouths(int(n), crop) for n, crop in zip(frames, crops(footage, frames), strict=True)]
    assert all(one is not None for one in closed)
    return torch.stack([one for one in closed if one is not None])


def test_a_talking_mouth_becomes_the_person_s_closed_one(footage: Footage) -> None:
    aperture = find_faces(footage).lips[:, 0]
    shut = int(aperture.argmin())
    widest = PAUSE[aperture[PAUSE].argmax()]
    closed = made(prepared(footage), footage, np.array([widest]))
    target, own = crops(footage, np.array([shut])), crops(footage, np.array([widest]))
    apart = (mouth(closed) - mouth(target)).abs().mean()
    assert apart < (mouth(own) - mouth(target)).abs().mean() / 3


def test_it_hardly_moves_while_the_filmed_mouth_talks(footage: Footage) -> None:
    frames = PAUSE[:20]
    closed, filmed = made(prepared(footage), footage, frames), crops(footage, frames)
    motion = mouth(closed).diff(dim=0).abs().mean()
    assert motion < mouth(filmed).diff(dim=0).abs().mean() / 3


def test_one_pause_shows_one_mouth(footage: Footage) -> None:
    mouths = prepared(footage)
    assert len(mouths._packed) == 1
    assert not mouths.missing.any() and (mouths.share[PAUSE] == 1).all()


def test_other_frames_have_none(footage: Footage) -> None:
    mouths = prepared(footage)
    assert mouths(5, crops(footage, np.array([5]))[0]) is None
    assert mouths.share[5] == 0 and not mouths.missing[5]


@pytest.mark.parametrize("size", [128, 512])
def test_crops_may_have_any_size_and_change_only_inside_the_mask(footage, size: int) -> None:
    frames = np.array([40])
    (crop,) = crops(footage, frames, size)
    closed = prepared(footage, size, frames)(40, crop)
    assert closed is not None and closed.shape == (3, size, size)
    outside = torch.from_numpy(upstream_mask(size) == 0)
    assert torch.equal(closed[:, outside], crop[:, outside])
    assert not torch.equal(closed, crop)


def test_without_a_closed_mouth_in_the_video_there_is_none(footage: Footage) -> None:
    """The lips never close here: their lower edge lies half a brow distance lower."""
    opened = [
        None if one is None else replace(one, landmarks=_opened(one)) for one in footage.alignments
    ]
    mouths = prepared(replace(footage, alignments=opened))
    assert mouths.missing[PAUSE].all() and not mouths.share.any()
    assert mouths(40, crops(footage, np.array([40]))[0]) is None


def _opened(alignment) -> np.ndarray:
    points = alignment.landmarks.copy()
    points[9, 1] += 40
    return points


def test_moving_lips_are_not_closed(footage: Footage) -> None:
    faces = find_faces(footage)
    alone = np.zeros(len(faces.frames), int)
    closed = closed_faces(footage, faces, alone)
    assert closed.any()
    assert lip_shape(np.stack([footage.alignments[i].landmarks for i in faces.frames[closed]]))[
        :, 0
    ].max() < np.percentile(faces.lips[:, 0], 11)
    jumping = replace(faces, lips=faces.lips + 0.03 * (np.arange(len(faces.lips)) % 2)[:, None])
    assert not closed_faces(footage, jumping, alone).any()


def test_a_covered_mouth_is_no_closed_one(footage: Footage) -> None:
    faces = find_faces(footage)
    alone = np.zeros(len(faces.frames), int)
    closed = closed_faces(footage, faces, alone)
    (first, *others) = np.flatnonzero(closed)
    covered = replace(footage, occluded=np.arange(len(footage.seconds)) == faces.frames[first])
    found = closed_faces(covered, faces, alone)
    assert not found[first] and found[others].all()


def test_lips_move_as_fast_at_any_frame_rate(footage: Footage) -> None:
    """Of the same frames, shown twice as fast, some move that did not."""
    faces = find_faces(footage)
    alone = np.zeros(len(faces.frames), int)
    slow = closed_faces(footage, faces, alone)
    fast = closed_faces(replace(footage, seconds=footage.seconds / 8), faces, alone)
    assert (slow & ~fast).any() and not (fast & ~slow).any()


def test_without_target_frames_nothing_is_selected(footage: Footage) -> None:
    mouths = prepared(footage, frames=np.empty(0, int))
    assert not mouths.missing.any() and not mouths.share.any() and not mouths._packed


def test_a_mouth_is_kept_while_it_fits_and_none_is_used_beyond() -> None:
    units = np.array([7, 9])
    near, kept, beyond = 0.5 * FAR, 1.2 * FAR, 2 * FAR
    distance = np.array(
        [
            [0.8 * near, near],
            [kept, near],  # the nearest of the first is not the one that fits them all
            [beyond, near],
            [beyond, kept],
            [beyond, beyond],
            [kept, beyond],  # too far to begin with
        ]
    )
    np.testing.assert_array_equal(_steady_path(distance, units), [9, 9, 9, 9, -1, -1])
    np.testing.assert_array_equal(_steady_path(distance[:, :0], units[:0]), [-1] * 6)


def test_beside_frames_without_a_closed_mouth_its_share_rises(footage: Footage) -> None:
    turned = list(footage.alignments)
    for i in range(45, 50):
        one = turned[i]
        assert one is not None
        points = one.landmarks.copy()
        points[5, 0] += 40  # the tip of the nose: the head is turned away
        turned[i] = replace(one, landmarks=points)
    mouths = prepared(replace(footage, alignments=turned))
    assert set(np.flatnonzero(mouths.missing)) == set(range(45, 50))
    share, seconds = mouths.share, footage.seconds
    np.testing.assert_allclose(share[40:45], (seconds[45] - seconds[40:45]).clip(0, RAMP) / RAMP)
    assert share[60] == 1
