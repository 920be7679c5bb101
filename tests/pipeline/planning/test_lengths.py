"""Every word of output.length, with any speech and video: how many frames, and which."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.pipeline.planning.timeline import (
    VideoTimeline,
    jumps,
    output_seconds,
    speech_timeline,
    video_timeline,
)
from latentsync.settings.lengths import LENGTHS

TABLE = (Path(__file__).parents[3] / "docs/lengths.md").read_text("utf-8")
RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(60)]

videos = st.builds(
    lambda frames, rate: video_timeline(np.arange(frames) * 1000, 1 / (rate * 1000), rate),
    st.integers(2, 90),
    st.sampled_from(RATES),
)
speeches = st.floats(0.1, 6)
rates = st.sampled_from([None, Fraction(25), Fraction(50)])


@pytest.mark.parametrize("word", LENGTHS)
def test_the_documented_table_says_how_long_the_output_is(word):
    row = next(line for line in TABLE.splitlines() if line.startswith(f"| `{word}`"))
    for documented, speech in zip(re.findall(r"\*\*(\w+)\*\*", row), (1.0, 3.0), strict=True):
        assert output_seconds(word, 2.0, speech) == {"speech": speech, "video": 2.0}[documented]


@given(videos, speeches, rates, st.sampled_from(LENGTHS))
def test_the_output_is_as_long_as_it_should_be_to_within_a_frame(video, speech, fps, word):
    line = speech_timeline(video, speech, fps=fps, length=word)
    frame = 1 / float(line.rate)
    assert -1e-5 < line.end - output_seconds(word, video.end, speech) < frame + 1e-5
    np.testing.assert_allclose(np.diff(line.seconds), frame, rtol=1e-6)
    assert (line.seconds[: line.spoken] < speech).all()
    assert (line.seconds[line.spoken :] >= speech - 1e-6).all()


@given(videos, speeches, rates, st.sampled_from([word for word in LENGTHS if word != "remap"]))
def test_until_its_end_the_video_is_in_time(video, speech, fps, word):
    line = speech_timeline(video, speech, fps=fps, length=word)
    before = line.seconds < video.end - 1e-5
    late = line.seconds[before] - video.seconds[line.source[before]]
    assert (late > -1e-5).all() and (late < 1 / float(video.rate) + 1e-5).all()


@given(videos, speeches, st.sampled_from(["hold", "silence"]))
def test_then_its_last_frame_stays(video, speech, word):
    line = speech_timeline(video, speech, fps=None, length=word)
    assert (line.source[len(video) :] == len(video) - 1).all()


@given(videos, st.floats(0.5, 2), rates)
def test_a_remapped_video_never_drifts_and_is_shown_to_its_end(video, stretch, fps):
    line = speech_timeline(video, video.end * stretch, fps=fps, length="remap")
    off = line.seconds - video.seconds[line.source] * line.stretch
    nearest = line.stretch / float(video.rate) / 2
    assert line.stretch == pytest.approx(stretch)
    assert (np.abs(off[line.source < len(video) - 1]) < nearest + 1e-5).all()
    assert (off[line.source == len(video) - 1] < 2 * nearest + 1e-5).all()
    assert not jumps(line, video.seconds).any()


def test_a_video_is_slowed_down_by_repeated_frames_and_sped_up_by_missing_ones():
    video = video_timeline(np.arange(10), Fraction(1, 25), Fraction(25))
    slower = speech_timeline(video, 12 / 25, fps=None, length="remap")
    assert slower.source.tolist() == [0, 1, 2, 2, 3, 4, 5, 6, 7, 7, 8, 9]
    faster = speech_timeline(video, 8 / 25, fps=None, length="remap")
    assert faster.source.tolist() == [0, 1, 2, 4, 5, 6, 7, 9]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=40), st.sampled_from(LENGTHS))
def test_a_variable_frame_rate_is_no_exception(steps, word):
    pts = np.cumsum(steps) - steps[0]
    video = VideoTimeline(np.arange(len(pts)), pts, Fraction(1, 100), Fraction(25), len(pts))
    line = speech_timeline(video, video.end, fps=None, length=word)
    if word != "remap":
        np.testing.assert_array_equal(line.source, video.source)
        np.testing.assert_array_equal(line.pts, video.pts)
    assert line.end == pytest.approx(video.end, abs=1 / 25)


@pytest.mark.parametrize("word", LENGTHS)
def test_one_frame_is_shown_as_long_as_there_is_speech(word):
    picture = video_timeline(np.array([0]), Fraction(1, 25), Fraction(25))
    line = speech_timeline(picture, 1.0, fps=None, length=word)
    assert line.source.tolist() == [0] * 25 and line.spoken == 25
