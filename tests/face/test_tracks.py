"""Cuts are detected, faces are linked into tracks, and each shot has one identity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.tracks import (
    ChosenFace,
    Track,
    cut_score,
    is_cut,
    link_faces,
    thumbnail,
)

THRESHOLD = 0.30  # the default of face.cut_threshold


def face(x: float, y: float = 200.0, size: float = 100.0, confidence: float = 0.9) -> DetectedFace:
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    return DetectedFace(np.full((len(LANDMARKS), 2), (x, y), np.float32), box, confidence)


def link(
    *frames: Sequence[DetectedFace],
    cuts: Sequence[int] = (),
    max_gap_seconds: float = 0.2,
    seconds: Sequence[float] | np.ndarray | None = None,
) -> list[Track]:
    """seconds: 25 frames a second unless given."""
    times = np.arange(len(frames)) / 25 if seconds is None else seconds
    begins = [i in cuts for i in range(len(frames))]
    return link_faces(frames, begins, seconds=times, max_gap_seconds=max_gap_seconds)


def places(chosen: Sequence[ChosenFace | None]) -> list[float | None]:
    return [None if one is None else float(one.face.center[0]) for one in chosen]


PORTRAIT = data.astronaut()
STREET = np.ascontiguousarray(data.coffee())


@pytest.mark.parametrize(
    ("before", "after"),
    [(PORTRAIT, STREET), (STREET, data.chelsea()), (PORTRAIT, PORTRAIT[50:230, 130:310])],
    ids=["another image", "and another", "much closer"],
)
def test_a_cut_is_found(before, after) -> None:
    assert is_cut(thumbnail(before), thumbnail(after), THRESHOLD)


def test_motion_noise_flash_and_fade_are_no_cuts() -> None:
    noise = np.random.default_rng(0).normal(0, 15, PORTRAIT.shape)
    before = PORTRAIT[:480, :480]
    for after in (
        PORTRAIT[25:505, 30:510],  # the camera pans by a sixteenth of the image
        np.clip(before + noise[:480, :480], 0, 255).astype(np.uint8),
        np.clip(before * 1.6 + 30.0, 0, 255).astype(np.uint8),  # a flash
        (before * 0.4).astype(np.uint8),
    ):
        assert not is_cut(thumbnail(before), thumbnail(after), THRESHOLD)


def test_a_head_that_crosses_the_frame_is_no_cut() -> None:
    room = np.full((360, 640, 3), 90, np.uint8) + np.arange(640, dtype=np.uint8)[:, None] // 8
    videos = []
    for x in (0, 60):
        frame = room.copy()
        frame[100:300, 200 + x : 360 + x] = PORTRAIT[40:240, 140:300]
        videos.append(thumbnail(frame))
    assert not is_cut(videos[0], videos[1], THRESHOLD)


def test_to_and_from_black_is_a_cut_and_black_to_black_is_none() -> None:
    black, portrait = np.zeros_like(thumbnail(PORTRAIT)), thumbnail(PORTRAIT)
    assert is_cut(portrait, black, THRESHOLD) and is_cut(black, portrait, THRESHOLD)
    assert cut_score(black, black) == 0


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (35, 500), (1080, 1920)])
def test_a_thumbnail_is_small_whatever_the_frame(size) -> None:
    small = thumbnail(np.full((*size, 3), 51, np.uint8))
    assert small.shape == (36, 64, 3) and small.dtype == np.float32
    np.testing.assert_allclose(small, 0.2, atol=1e-6)


def test_a_moving_face_is_one_track() -> None:
    (track,) = link(*([face(100 + 20.0 * i)] for i in range(30)))
    assert (track.start, track.stop) == (0, 30)


def test_two_people_side_by_side_are_two_tracks_whatever_their_order() -> None:
    frames = [[face(100), face(400)], [face(404), face(98)], [face(97), face(402)]]
    left, right = link(*frames)
    assert [round(float(one.center[0])) for one in left.faces] == [100, 98, 97]
    assert [round(float(one.center[0])) for one in right.faces] == [400, 404, 402]


@given(st.integers(1, 5), st.floats(-30, 30))
def test_a_short_gap_is_bridged_on_a_straight_line(gap, speed) -> None:
    frames = [[face(300.0)], *[[]] * gap, [face(300.0 + speed, confidence=0.5)]]
    (track,) = link(*frames)
    line = np.linspace(300, 300 + speed, gap + 2)
    got = np.stack([one.landmarks for one in track.faces])
    np.testing.assert_allclose(got[..., 0], np.tile(line[:, None], len(LANDMARKS)), rtol=1e-5)
    assert track.faces[0] is frames[0][0] and track.faces[-1] is frames[-1][0]
    np.testing.assert_allclose(
        [one.confidence for one in track.faces], np.linspace(0.9, 0.5, gap + 2)
    )


def test_a_longer_gap_ends_the_track() -> None:
    first, second = link([face(300)], *[[]] * 6, [face(300)])
    assert (first.stop, second.start) == (1, 7)


@pytest.mark.parametrize(
    ("fps", "bridged"),
    [
        (12, 2),
        (24000 / 1001, 4),
        (25, 5),
        (30000 / 1001, 6),
        (30, 6),
        (50, 10),
        (60, 12),
        (120, 24),
    ],
)
@pytest.mark.parametrize("digits", [12, 3], ids=["exact", "rounded to milliseconds"])
def test_a_gap_is_bridged_up_to_the_same_seconds_at_every_rate(fps, bridged, digits) -> None:
    """0.2 s without the face on the screen are bridged; what a frame more makes is too long."""
    for missed, tracks in ((bridged, 1), (bridged + 1, 2)):
        frames = [[face(300)], *[[]] * missed, [face(300)]]
        seconds = np.round(5.0 + np.arange(len(frames)) / fps, digits)
        assert len(link(*frames, seconds=seconds)) == tracks


@given(st.sampled_from([12, 25, 60, 120]), st.floats(0.0, 0.5), st.floats(0.02, 1))
def test_one_gap_is_bridged_or_not_at_every_rate_up_to_a_frame(fps, gap, max_gap_seconds) -> None:
    missed = round(gap * fps)
    frames = [[face(300)], *[[]] * missed, [face(300)]]
    seconds = np.arange(len(frames)) / fps
    tracks = link(*frames, seconds=seconds, max_gap_seconds=max_gap_seconds)
    if abs(gap - max_gap_seconds) > 1 / fps:
        assert len(tracks) == (1 if gap < max_gap_seconds else 2)


def test_without_a_gap_allowed_every_missed_frame_ends_the_track() -> None:
    assert len(link([face(300)], [], [face(300)], max_gap_seconds=0)) == 2
    assert len(link([face(300)], [face(300)], max_gap_seconds=0)) == 1


@given(st.lists(st.floats(0.005, 0.06), min_size=2, max_size=4), st.floats(-30, 30))
def test_a_face_that_is_filled_in_moves_evenly_in_time_not_in_frames(steps, way) -> None:
    seconds = np.concatenate([[2.0], 2.0 + np.cumsum(steps)])
    frames = [[face(300.0)], *[[]] * (len(steps) - 1), [face(300.0 + way)]]
    (track,) = link(*frames, seconds=seconds)
    line = 300 + way * (seconds - 2.0) / (seconds[-1] - 2.0)
    got = [float(one.landmarks[0, 0]) for one in track.faces]
    np.testing.assert_allclose(got, line, atol=1e-3)  # float32 at 300


def test_what_counts_is_how_long_the_frames_without_the_face_are_shown() -> None:
    frames = [face(300)], [], [face(300)]
    assert len(link(*frames, seconds=[0.0, 3.0, 3.04])) == 1  # a still of 3 s that shows the face
    assert len(link(*frames, seconds=[0.0, 0.04, 3.04])) == 2  # one that does not


def test_a_cut_ends_every_track_even_on_the_same_spot() -> None:
    first, second = link([face(300)], [face(300)], [face(300)], cuts=[2])
    assert (first.stop, second.start) == (2, 2) and first.shot != second.shot


def test_a_gap_is_not_bridged_over_a_cut() -> None:
    first, second = link([face(300)], [], [face(340)], cuts=[1])
    assert (first.stop, second.start) == (1, 1)
    assert second.faces[0] is second.faces[1], "what is filled in is the later shot's own"


@pytest.mark.parametrize("size", [60, 130])
def test_a_face_detected_soon_after_a_cut_is_extended_back_to_it(size) -> None:
    """A detector may need some frames to detect the smaller of two faces."""
    late = [[face(500)]] * 5 + [[face(500), face(100 + i, size=size)] for i in range(40)]
    tracks = link(*late, *late, cuts=[45])
    assert [(track.start, track.stop) for track in tracks] == [(0, 45)] * 2 + [(45, 90)] * 2
    for track in (one for one in tracks if one.faces[0].center[0] < 300):
        shown = [float(one.center[0]) for one in track.faces]
        assert shown == [100.0] * 5 + [100.0 + i for i in range(40)]


def test_a_face_detected_much_later_is_not_extended_back() -> None:
    late = [[face(500)]] * 6 + [[face(500), face(100)]] * 40
    assert [track.start for track in link(*late)] == [0, 6]
    assert [track.start for track in link(*late, max_gap_seconds=0)] == [0, 6]


def test_a_face_that_jumps_is_another_track_from_there_on() -> None:
    tracks = link(*[[face(100)]] * 3, *[[face(190)]] * 5)
    assert [(track.start, track.stop) for track in tracks] == [(0, 3), (3, 8)]


def test_a_jump_or_another_size_is_another_identity() -> None:
    assert len(link([face(100)], [face(190)])) == 2
    assert len(link([face(100, size=100)], [face(100, size=250)])) == 2
