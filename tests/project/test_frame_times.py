"""Display durations of frames, computed from their PTS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.frame_times import frame_duration, frame_spans

steps = st.lists(st.floats(0.001, 3), min_size=1, max_size=40)


@pytest.mark.parametrize("fps", [12, 24000 / 1001, 25, 60, 120])
def test_the_typical_frame_is_that_of_the_rate_in_spite_of_rounding_and_a_still(fps) -> None:
    seconds = np.arange(50) / fps
    seconds[30:] += 2
    assert frame_duration(seconds) == pytest.approx(1 / fps)
    assert frame_duration(np.round(seconds, 3)) == pytest.approx(1 / fps, abs=0.0005)


def test_one_frame_alone_is_taken_for_one_of_25() -> None:
    assert frame_duration(np.array([7.0])) == frame_duration(np.empty(0)) == 1 / 25
    begin, end = frame_spans(np.array([7.0]))
    np.testing.assert_allclose([begin, end], [[6.98], [7.02]])


@given(steps)
def test_spans_meet_halfway_and_are_the_same_backwards(gaps) -> None:
    seconds = np.cumsum([1.0, *gaps])
    begin, end = frame_spans(seconds)
    assert len(begin) == len(end) == len(seconds)
    np.testing.assert_allclose(end[:-1], begin[1:])
    np.testing.assert_allclose(end[:-1], (seconds[1:] + seconds[:-1]) / 2)
    assert (begin < seconds).all() and (seconds < end).all()
    back_begin, back_end = frame_spans(-seconds[::-1])
    np.testing.assert_allclose(-back_end[::-1], begin)
    np.testing.assert_allclose(-back_begin[::-1], end)


@given(st.integers(1, 30), st.sampled_from([12, 25, 60]))
def test_at_a_steady_rate_all_frames_are_shown_equally_long(frames, fps) -> None:
    begin, end = frame_spans(np.arange(frames) / fps)
    np.testing.assert_allclose(end - begin, 1 / (fps if frames > 1 else 25))
