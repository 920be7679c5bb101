"""latentsync.speech.windows: the features of a frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.speech.windows import (
    frame_count,
    indices_at,
    stream_windows,
    window_indices,
    windows,
)


def test_a_frame_gets_a_tenth_of_a_second_either_side() -> None:
    indices = window_indices(100, 25)
    assert indices[0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert indices[10].tolist() == list(range(16, 26))
    assert indices[-1].tolist() == [98, *[99] * 9]


@pytest.mark.parametrize(("features", "frames"), [(1, 2), (100, 52), (160, 82), (480, 242)])
def test_there_are_as_many_frames_as_upstream_makes(features: int, frames: int) -> None:
    assert frame_count(features, 25) == len(window_indices(features, 25)) == frames


RATES = st.sampled_from(
    [24, 25, 30, 50, 60, 120, 12.5, 23.976, 29.97, Fraction(24000, 1001), Fraction(30000, 1001)]
)


@given(st.integers(1, 3000), RATES)
def test_at_any_rate_the_last_frame_is_the_first_one_past_the_end(
    features: int, fps: float | Fraction
) -> None:
    starts = [int(i * 50 / fps) for i in range(frame_count(features, fps))]
    assert starts[-1] > features
    assert all(start <= features for start in starts[:-1])


@given(st.integers(20, 3000), RATES)
def test_at_any_rate_a_frame_gets_the_features_of_its_time(
    features: int, fps: float | Fraction
) -> None:
    indices = window_indices(features, fps)
    assert indices.dtype == np.int64 and indices.shape[1] == 10
    assert indices.min() == 0 and indices.max() == features - 1
    seconds = np.array([float(i / fps) for i in range(len(indices))])
    inside = (indices[:, 0] > 0) & (indices[:, -1] < features - 1)
    own = indices[inside, 4] / 50
    assert (own <= seconds[inside] + 1e-9).all() and (seconds[inside] - own < 0.02 + 1e-9).all()


def test_frames_beyond_the_audio_get_its_end() -> None:
    assert (window_indices(100, 25, start=60, stop=70) == 99).all()
    assert window_indices(100, 25, start=52).shape == (0, 10)


@pytest.mark.parametrize(("features", "fps"), [(0, 25), (100, 0), (100, -25.0)])
def test_windows_on_nothing_are_refused(features: int, fps: float) -> None:
    with pytest.raises(ValueError, match=f"no windows on {features} features at {fps}"):
        window_indices(features, fps)


def test_time_is_outside_and_hidden_states_are_inside() -> None:
    features = torch.arange(20).view(20, 1, 1) * 10 + torch.arange(5).view(1, 5, 1)
    window = windows(features, window_indices(20, 25))[4, :, 0]
    assert window[:7].tolist() == [40, 41, 42, 43, 44, 50, 51]


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    fps=st.sampled_from([5, 25, 30, 60]),
    start=st.integers(0, 30),
)
def test_windows_streamed_as_segments_arrive_are_those_of_the_whole(
    lengths: list[int], fps: int, start: int
) -> None:
    whole = torch.arange(sum(lengths) * 6).view(-1, 2, 3).float()
    indices = window_indices(len(whole), fps, start=start, stop=start + 80)
    streamed = torch.stack(list(stream_windows(whole.split(lengths), indices)))
    assert torch.equal(streamed, windows(whole, indices))


def test_audio_shorter_than_planned_is_noticed() -> None:
    streamed = stream_windows([torch.zeros(20, 5, 4)], window_indices(40, 25))
    with pytest.raises(ValueError, match="the audio ends before"):
        list(streamed)


@pytest.mark.parametrize("fps", [24, 25, 30, 50])
def test_windows_at_instants_are_those_of_a_steady_rate(fps: int) -> None:
    seconds = np.arange(200) / fps
    expected = window_indices(400, fps, stop=200)
    assert (indices_at(seconds, 400) == expected).all()
