"""Frames are shown when they should be: lengths, rates, ways to go on, chunks that never jump."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.pipeline.timeline import Timeline, chunks, film_timeline, speech_timeline


def _film(frames: int, fps: int = 25) -> Timeline:
    return film_timeline(np.arange(frames) * 512, Fraction(1, 512 * fps), Fraction(fps))


def _speech(film, seconds, *, fps=None, length="audio", extend="pingpong") -> Timeline:
    return speech_timeline(film, seconds, fps=fps, length=length, extend=extend)


@pytest.mark.parametrize(
    ("extend", "shown"),
    [
        ("pingpong", [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]),
        ("upstream", [0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2]),
        ("loop", [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]),
        ("hold", [0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3]),
    ],
)
def test_a_film_that_is_too_short_goes_on(extend, shown):
    assert _speech(_film(4), 11 / 25, extend=extend).source.tolist() == shown


@given(st.integers(1, 60), st.floats(0.01, 5), st.sampled_from(["pingpong", "loop", "hold"]))
def test_the_film_is_as_long_as_the_speech_to_within_a_frame(frames, seconds, extend):
    line = _speech(_film(frames), seconds, extend=extend)
    assert 0 <= len(line) / 25 - seconds < 1 / 25 + 1e-6 or len(line) == 1
    assert (np.diff(line.pts) == 512).all()
    assert line.spoken == len(line)


def test_a_film_that_keeps_its_length_is_silent_after_the_speech():
    line = _speech(_film(50), 1.0, length="video")
    assert (len(line), line.spoken) == (50, 25)


def test_other_rates_show_the_frame_that_was_on_the_screen():
    slow = _speech(_film(60, fps=60), 1.0, fps=Fraction(25))
    assert len(slow) == 25
    assert slow.source[:6].tolist() == [0, 2, 4, 7, 9, 12]
    fast = _speech(_film(25), 1.0, fps=Fraction(50))
    assert fast.source[:5].tolist() == [0, 0, 1, 1, 2]
    assert (fast.time_base, fast.rate) == (Fraction(1, 50), 50)


def test_a_variable_frame_rate_keeps_its_times():
    pts = np.array([0, 40, 70, 150, 200])
    film = film_timeline(pts, Fraction(1, 1000), Fraction(25))
    assert _speech(film, 0.16).pts.tolist() == [0, 40, 70, 150]
    assert _speech(film, 0.30).pts.tolist() == [0, 40, 70, 150, 200, 240, 280]


def test_chunks_are_sixteen_frames_of_one_track():
    tracks = np.array([0] * 20 + [-1] * 3 + [1] * 17)
    numbers = chunks(_speech(_film(40), 1.6), tracks, size=16)
    assert numbers.tolist() == [0] * 16 + [1] * 4 + [-1] * 3 + [2] * 16 + [3]


def test_a_chunk_ends_where_the_film_jumps_but_not_where_it_turns():
    tracks = np.zeros(10, int)
    looped = chunks(_speech(_film(10), 20 / 25, extend="loop"), tracks, size=16)
    assert looped.tolist() == [0] * 10 + [1] * 10
    turned = chunks(_speech(_film(10), 20 / 25), tracks, size=16)
    assert turned.tolist() == [0] * 16 + [1] * 4


def test_frames_after_the_speech_are_in_no_chunk():
    numbers = chunks(_speech(_film(10), 4 / 25, length="video"), np.zeros(10, int), size=16)
    assert numbers.tolist() == [0] * 4 + [-1] * 6
