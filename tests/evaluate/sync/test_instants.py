"""A video is read at 25 frames a second of its own time."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.evaluate.sync.instants import at_instants, counted, instants
from latentsync.types import Frame


def times(rate: float, seconds: float) -> np.ndarray:
    return np.arange(round(seconds * rate)) / rate


def test_at_25_a_second_every_frame_is_shown_once() -> None:
    shown = instants(times(25, 4), end=4.0)
    np.testing.assert_array_equal(shown, np.arange(100))


@pytest.mark.parametrize("rate", [30000 / 1001, 60, 24000 / 1001, 12.5, 120])
def test_nothing_drifts_in_an_hour_at_other_rates(rate: float) -> None:
    seconds = times(rate, 3600)
    shown = instants(seconds, end=3600.0)
    assert len(shown) == 25 * 3600
    off = np.abs(seconds[shown] - np.arange(len(shown)) / 25)
    assert off[:-2].max() <= 0.5 / rate + 1e-9


def test_a_frame_that_stays_on_is_shown_until_the_next_one_is_nearer() -> None:
    seconds = np.array([0.0, 0.04, 0.4, 0.44])
    np.testing.assert_array_equal(instants(seconds, end=0.48), [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3])


def test_one_frame_is_shown_as_long_as_it_lasts() -> None:
    np.testing.assert_array_equal(instants(np.zeros(1), end=0.12), [0, 0, 0])


def test_only_wanted_instants_are_given_and_reading_stops_after_the_last() -> None:
    frames = [Frame(n, n / 25, n, np.full((2, 2, 3), n, np.uint8)) for n in range(9)]
    read: list[None] = []
    shown = np.array([0, 0, 1, 3, 4])
    steps = counted(frames, lambda: read.append(None))
    given = [(int(p[0, 0, 0]), i) for p, i in at_instants(steps, shown, lambda i: i != 1)]
    assert given == [(0, 0), (1, 2), (3, 3), (4, 4)]
    assert len(read) == 4  # the fifth frame is the last one that is read


def test_nothing_is_shown_between_the_spans_that_were_sampled() -> None:
    """Of a video at 50 frames a second the first 0.2 s of each second."""

    def takes(second: float) -> bool:
        return second % 1 < 0.199

    seconds = np.array([second for second in times(50, 3) if takes(second)])
    shown = instants(seconds, end=3.0, takes=takes)
    wanted = np.full((3, 25), -1)
    wanted[:, :5] = 2 * np.arange(5) + 10 * np.arange(3)[:, None]
    np.testing.assert_array_equal(shown, wanted.ravel())
    frames = [Frame(n, s, n, np.full((2, 2, 3), n, np.uint8)) for n, s in enumerate(seconds)]
    given = [(int(p[0, 0, 0]), i) for p, i in at_instants(frames, shown, lambda _: True)]
    assert given == [(n, i) for i, n in enumerate(shown) if n >= 0]


def test_a_video_that_became_shorter_is_an_error_not_a_shorter_score() -> None:
    shown = np.array([0, 1, 2, 3])
    frames = [Frame(n, n / 25, n, np.zeros((2, 2, 3), np.uint8)) for n in range(3)]
    with pytest.raises(MediaError, match="now ends before its frame: 3"):
        list(at_instants(frames, shown, lambda _: True))
