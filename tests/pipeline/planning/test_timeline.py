"""Frames are shown when they should be: lengths, rates, ways to go on, chunks that never jump."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.pipeline.planning.timeline import (
    VideoTimeline,
    chunks,
    jumps,
    speech_timeline,
    video_timeline,
)


def _video(frames: int, fps: int = 25) -> VideoTimeline:
    return video_timeline(np.arange(frames) * 512, Fraction(1, 512 * fps), Fraction(fps))


def _speech(video, seconds, *, fps=None, length="bounce") -> VideoTimeline:
    return speech_timeline(video, seconds, fps=fps, length=length)


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        ("bounce", [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]),
        ("loop", [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]),
        ("hold", [0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3]),
    ],
)
def test_a_video_that_is_too_short_is_extended(length, shown):
    assert _speech(_video(4), 11 / 25, length=length).source.tolist() == shown


@given(st.integers(1, 60), st.floats(0.01, 5), st.sampled_from(["bounce", "loop", "hold"]))
def test_the_video_is_as_long_as_the_speech_to_within_a_frame(frames, seconds, length):
    line = _speech(_video(frames), seconds, length=length)
    assert 0 <= len(line) / 25 - seconds < 1 / 25 + 1e-6 or len(line) == 1
    assert (np.diff(line.pts) == 512).all()
    assert line.spoken == len(line)


def test_a_video_that_keeps_its_length_is_silent_after_the_speech():
    line = _speech(_video(50), 1.0, length="video")
    assert (len(line), line.spoken) == (50, 25)


def test_other_rates_show_the_frame_that_was_on_the_screen():
    slow = _speech(_video(60, fps=60), 1.0, fps=Fraction(25))
    assert len(slow) == 25
    assert slow.source[:6].tolist() == [0, 2, 4, 7, 9, 12]
    fast = _speech(_video(25), 1.0, fps=Fraction(50))
    assert fast.source[:5].tolist() == [0, 0, 1, 1, 2]
    assert (fast.time_base, fast.rate) == (Fraction(1, 50), 50)


def test_a_variable_frame_rate_keeps_its_times():
    pts = np.array([0, 40, 70, 150, 200])
    video = video_timeline(pts, Fraction(1, 1000), Fraction(25))
    assert _speech(video, 0.16).pts.tolist() == [0, 40, 70, 150]
    assert _speech(video, 0.30).pts.tolist() == [0, 40, 70, 150, 200, 240, 280]


def _numbers(line: VideoTimeline, tracks: np.ndarray, fps: int = 25, size: int = 16) -> list[int]:
    """tracks: of the video's frames, ``fps`` a second."""
    return chunks(line, tracks, np.arange(len(tracks)) / fps, size=size).tolist()


def test_chunks_are_sixteen_frames_of_one_track():
    tracks = np.array([0] * 20 + [-1] * 3 + [1] * 17)
    numbers = _numbers(_speech(_video(40), 1.6), tracks)
    assert numbers == [0] * 16 + [1] * 4 + [-1] * 3 + [2] * 16 + [3]


def test_a_chunk_ends_where_the_video_jumps_but_not_where_it_turns():
    tracks = np.zeros(10, int)
    looped = _numbers(_speech(_video(10), 20 / 25, length="loop"), tracks)
    assert looped == [0] * 10 + [1] * 10
    turned = _numbers(_speech(_video(10), 20 / 25), tracks)
    assert turned == [0] * 16 + [1] * 4


def test_frames_after_the_speech_are_in_no_chunk():
    numbers = _numbers(_speech(_video(10), 4 / 25, length="video"), np.zeros(10, int))
    assert numbers == [0] * 4 + [-1] * 6


@pytest.mark.parametrize(("fps", "rate"), [(12, 25), (25, 25), (60, 25), (120, 25), (60, 10)])
def test_another_frame_rate_is_no_jump_however_many_frames_it_skips(fps, rate):
    line = _speech(_video(2 * fps, fps=fps), 2.0, fps=Fraction(rate))
    seconds = np.arange(2 * fps) / fps
    assert not jumps(line, seconds).any()
    numbers = _numbers(line, np.zeros(2 * fps, int), fps)
    assert numbers == [index // 16 for index in range(2 * rate)]


def test_a_jump_depends_on_time_not_on_frames():
    """At 60 frames a second a loop of 0.1 s goes on, one of half a second jumps."""
    for frames, jump in ((6, False), (30, True)):
        line = _speech(_video(frames, fps=60), 2 * frames / 60, length="loop")
        found = jumps(line, np.arange(frames) / 60)
        assert np.flatnonzero(found).tolist() == ([frames] if jump else [])
