"""LatentSync's own layout: length, back and forth with repeated ends, chunks by count."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.pipeline.planning.upstream_timeline import (
    CHUNK_FRAMES,
    NO_CHUNK,
    UpstreamTimeline,
    at_upstream_rate,
    there_and_back,
    upstream_timeline,
)


def _line(features: int, frames: int, *, without_face: tuple[int, ...] = ()) -> UpstreamTimeline:
    has_face = ~np.isin(np.arange(frames), without_face)
    return upstream_timeline(features, np.arange(frames), has_face)


@pytest.mark.parametrize(
    ("features", "frames"), [(1, 2), (2, 3), (99, 51), (100, 52), (160, 82), (480, 242)]
)
def test_the_speech_sets_the_length_two_frames_beyond_its_end(features: int, frames: int) -> None:
    for video in (1, 30, 500):
        assert len(_line(features, video)) == frames


def test_a_short_video_turns_round_and_shows_its_ends_twice() -> None:
    assert _line(18, 4).source.tolist() == [0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2]
    assert there_and_back(1, 4).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("video", [11, 12, 60])
def test_a_video_that_is_long_enough_is_cut(video: int) -> None:
    line = _line(18, video)
    assert line.source.tolist() == list(range(11))
    assert line.resampled.tolist() == list(range(11)), "what is cut off needs no alignment"


def test_chunks_are_16_by_count_and_the_last_is_what_is_left() -> None:
    line = _line(58, 20)
    assert line.chunk.tolist() == [0] * 16 + [1] * 15
    assert line.chunk_lengths == [CHUNK_FRAMES, 15]
    shorter = upstream_timeline(58, np.arange(20), np.ones(20, bool), chunk_frames=8)
    assert shorter.chunk_lengths == [8, 8, 8, 7]


def test_frames_without_a_face_are_in_no_chunk_and_shift_no_other() -> None:
    whole, holed = _line(96, 50), _line(96, 50, without_face=(3, 4, 15, 16, 40))
    hidden = np.isin(whole.source, (3, 4, 15, 16, 40))
    assert (holed.chunk[hidden] == NO_CHUNK).all()
    np.testing.assert_array_equal(holed.chunk[~hidden], whole.chunk[~hidden])
    assert holed.chunk_lengths == [13, 15, 15, 2]


def test_a_chunk_without_a_face_keeps_its_number() -> None:
    line = _line(76, 40, without_face=tuple(range(14, 35)))
    assert line.chunk_lengths == [14, 0, 5]
    assert _line(76, 40, without_face=tuple(range(40))).chunk_lengths == []


def test_a_video_at_25_frames_a_second_is_left_as_it_is() -> None:
    for begin in (0.0, 0.48):
        seconds = begin + np.arange(50) * 0.04
        assert at_upstream_rate(seconds, seconds[-1] + 0.04).tolist() == list(range(50))


def test_other_rates_show_the_frame_that_was_on_the_screen() -> None:
    fast = at_upstream_rate(np.arange(60) / 60, 1.0)
    assert len(fast) == 25
    assert fast[:6].tolist() == [0, 2, 4, 7, 9, 12]
    slow = at_upstream_rate(np.arange(10) / 10, 1.0)
    assert slow.tolist() == [i * 10 // 25 for i in range(25)]
    variable = at_upstream_rate(np.array([0.0, 0.04, 0.15, 0.16]), 0.2)
    assert variable.tolist() == [0, 1, 1, 1, 3]


def test_faces_and_ends_are_those_of_the_resampled_video() -> None:
    """At 50 frames a second every other frame is never seen, with or without a face."""
    resampled = at_upstream_rate(np.arange(12) / 50, 0.24)
    has_face = np.arange(12) % 2 == 0
    line = upstream_timeline(14, resampled, has_face)
    assert line.source.tolist() == [0, 2, 4, 6, 8, 10, 10, 8, 6]
    assert (line.chunk == 0).all()


def test_nothing_to_lay_out_raises() -> None:
    for features, frames in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match="features of speech"):
            _line(features, frames)
