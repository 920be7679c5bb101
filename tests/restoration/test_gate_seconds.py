"""The gate decides in seconds: the frame rate changes nothing, and at 25 it is as it ever was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.restoration.gate import MouthState, judge, strengths

ON, OFF = 0.62, 0.68
RATES = (12, 25, 60, 120)
SLOWEST_FRAME = 1 / min(RATES)


def decided(
    sharpness: np.ndarray, seconds: np.ndarray, scale: np.ndarray | float = 0.8
) -> np.ndarray:
    """(F,) bool: degraded. sharpness: the lower, the likelier is that."""
    mouths = judge(
        np.broadcast_to(scale, len(sharpness)),
        -sharpness,
        seconds=seconds,
        min_scale=0.5,
        blur_on=-ON,
        blur_off=-OFF,
    )
    return mouths == MouthState.DEGRADED


def rounded(seconds: np.ndarray) -> np.ndarray:
    """As Matroska has them."""
    return np.round(seconds, 3)


# --- 25 frames a second ---------------------------------------------------------------------------

figures = st.tuples(
    st.sampled_from([0.3, 0.55, 0.61, 0.64, 0.67, 0.7, 0.9, float("nan")]), st.integers(1, 40)
)
scales = st.tuples(st.sampled_from([0.3, 0.49, 0.6, 1.0, 1.4, 2.0]), st.integers(1, 90))


def spelt_out(runs: list[tuple[float, int]]) -> np.ndarray:
    return np.concatenate([np.full(count, value) for value, count in runs])


def in_frames(scale: np.ndarray, sharpness: np.ndarray) -> list[bool]:
    """The gate as it was while it counted frames: 25 to a median, 16 to a run."""
    count = len(sharpness)

    def middle(values: np.ndarray, i: int) -> float:
        known = sorted(v for v in values[max(0, i - 12) : i + 13] if v == v)
        return (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2 if known else np.nan

    sizes = [middle(scale, i) for i in range(count)]
    shown = [middle(sharpness, i) for i in range(count)]
    flags = [shown[i] < OFF and sizes[i] >= 0.5 for i in range(count)]
    for start, end in stretches(flags, True):
        flags[start:end] = [any(shown[i] < ON for i in range(start, end))] * (end - start)
    for start, end in stretches(flags, False):
        if end - start < 16 and start > 0 and end < count:
            flags[start:end] = [True] * (end - start)
    for start, end in stretches(flags, True):
        if end - start < 16 and end - start < count:
            flags[start:end] = [False] * (end - start)
    return flags


def stretches(flags: list[bool], value: bool) -> list[tuple[int, int]]:
    found, start = [], None
    for i, flag in enumerate([*flags, not value]):
        if flag == value and start is None:
            start = i
        elif flag != value and start is not None:
            found.append((start, i))
            start = None
    return found


@given(st.lists(figures, min_size=1, max_size=9), st.lists(scales, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_at_25_frames_a_second_the_decisions_are_those_of_the_gate_in_frames(runs, sizes) -> None:
    sharpness = spelt_out(runs)
    scale = np.resize(spelt_out(sizes), len(sharpness))
    expected = in_frames(scale, sharpness)
    for origin in (0.0, 0.48, 3600.04):
        seconds = origin + np.arange(len(sharpness)) / 25
        assert decided(sharpness, seconds, scale).tolist() == expected
    assert decided(sharpness, rounded(seconds), scale).tolist() == expected


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 12), st.booleans())
@settings(deadline=None)
def test_at_25_frames_a_second_the_fade_is_that_of_the_gate_in_frames(flags, fade, gap) -> None:
    got = strengths(
        np.array(flags),
        seconds=np.arange(len(flags)) / 25,
        fade_seconds=fade / 25,
        fade_start=gap,
        fade_end=not gap,
    )
    borders = [i - 1 for i, flag in enumerate([not gap, *flags, gap]) if not flag]
    for i, flag in enumerate(flags):
        away = min((abs(i - border) for border in borders), default=np.inf)
        expected = 0.5 - 0.5 * np.cos(np.pi * min(away / (fade + 1), 1)) if flag else 0.0
        assert got[i] == pytest.approx(expected, abs=1e-6)  # float32 holds 1 part in 1e7


# --- other rates ----------------------------------------------------------------------------------


def pulse(fps: float, lasts: int, blurred: float = 0.5, sharp: float = 0.9) -> np.ndarray:
    """A mouth that is blurry for ``lasts`` frames in the middle of 6 s."""
    sharpness = np.full(round(6 * fps), sharp)
    begin = len(sharpness) // 2
    sharpness[begin : begin + lasts] = blurred
    return sharpness


@pytest.mark.parametrize("fps", [12, 25, 30000 / 1001, 50, 60, 120])
@pytest.mark.parametrize(("soft_for", "restored"), [(0.5, False), (0.75, True)])
def test_how_long_a_mouth_is_soft_decides_at_every_rate(fps, soft_for, restored) -> None:
    sharpness = pulse(fps, round(soft_for * fps))
    seconds = np.arange(len(sharpness)) / fps
    assert decided(sharpness, seconds).any() == restored


@pytest.mark.parametrize(
    ("fps", "enough"), [(12, 8), (12.5, 8), (25, 16), (50, 32), (60, 39), (100, 64), (120, 77)]
)
@pytest.mark.parametrize("stamps", [lambda seconds: seconds, rounded], ids=["exact", "rounded"])
def test_a_run_of_exactly_the_least_length_stays_and_a_frame_less_does_not(
    fps, enough, stamps
) -> None:
    """0.64 s; at 12, 60 and 120 frames a second the first frame beyond it. Gaps are the same."""
    for lasts in (enough - 1, enough):
        soft, clear = pulse(fps, lasts), pulse(fps, lasts, blurred=0.9, sharp=0.5)
        seconds = stamps(7.0 + np.arange(len(soft)) / fps)
        assert decided(soft, seconds).sum() == (lasts if lasts == enough else 0)
        assert (~decided(clear, seconds)).sum() == (lasts if lasts == enough else 0)


def test_a_track_shorter_than_a_run_is_decided_as_a_whole() -> None:
    for seconds in ([0.0], [0.0, 0.01], [3.0, 3.4, 3.5]):
        for figure in (0.5, 0.9):
            flags = decided(np.full(len(seconds), figure), np.array(seconds))
            assert (flags == (figure < ON)).all()


@dataclass(frozen=True)
class Mouth:
    """Blurred and sharp in turn. turns: (T + 1,) seconds, begin and end included. blips: (T,)
    seconds in the middle of each stretch that show the opposite, too short to count."""

    begins_blurred: bool
    turns: np.ndarray
    blips: np.ndarray

    def stretch(self, seconds: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.turns[1:-1], seconds, side="right")

    def blurred(self, seconds: np.ndarray) -> np.ndarray:
        """(F,) bool, blips left out."""
        return (self.stretch(seconds) % 2 == 0) == self.begins_blurred

    def sharpness(self, seconds: np.ndarray) -> np.ndarray:
        middles = (self.turns[:-1] + self.turns[1:]) / 2
        number = self.stretch(seconds)
        blip = np.abs(seconds - middles[number]) < self.blips[number] / 2
        return np.where(self.blurred(seconds) != blip, 0.5, 0.9)

    def clear(self, seconds: np.ndarray, away: float) -> np.ndarray:
        """(F,) bool: more than so many seconds from where a decision turns."""
        inner = self.turns[1:-1]
        return np.abs(seconds[:, None] - inner).min(axis=1, initial=np.inf) > away


@st.composite
def mouths(draw) -> Mouth:
    """No length is within two frames of the slowest rate of one at which a decision turns."""
    lasts = draw(st.lists(st.floats(1.8, 3), min_size=1, max_size=4))
    blips = draw(st.lists(st.floats(0, 0.25), min_size=len(lasts), max_size=len(lasts)))
    return Mouth(draw(st.booleans()), np.cumsum([0, *lasts]), np.array(blips))


@given(mouths(), st.sampled_from(RATES), st.floats(0, 0.99))
@settings(max_examples=60, deadline=None)
def test_one_video_gets_the_same_decisions_at_every_rate_up_to_a_frame(mouth, fps, phase) -> None:
    seconds = (np.arange(int(mouth.turns[-1] * fps)) + phase) / fps
    flags = decided(mouth.sharpness(seconds), seconds)
    clear = mouth.clear(seconds, 1 / fps)
    np.testing.assert_array_equal(flags[clear], mouth.blurred(seconds)[clear])


@given(mouths(), st.lists(st.floats(1 / 60, 1 / 12), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_rate_that_changes_within_the_video_decides_nothing(mouth, steps) -> None:
    paces = np.resize(np.repeat(steps, 12), int(60 * mouth.turns[-1]))
    seconds = np.cumsum(paces)
    seconds = seconds[seconds < mouth.turns[-1]]
    flags = decided(mouth.sharpness(seconds), seconds)
    clear = mouth.clear(seconds, SLOWEST_FRAME)
    np.testing.assert_array_equal(flags[clear], mouth.blurred(seconds)[clear])


@given(
    st.lists(st.floats(0.3, 1.2) | st.just(float("nan")), min_size=1, max_size=150),
    st.lists(st.floats(0.004, 0.3), min_size=8, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_backwards_the_decisions_are_the_same_whatever_the_pace(figures, steps) -> None:
    sharpness = np.array(figures)
    seconds = np.cumsum(np.resize(steps, len(figures)))
    result = decided(sharpness, seconds)
    assert np.array_equal(decided(sharpness[::-1], -seconds[::-1]), result[::-1])
    strength, mirrored = (
        strengths(flags, seconds=times, fade_seconds=0.32, fade_start=True, fade_end=True)
        for flags, times in ((result, seconds), (result[::-1], -seconds[::-1]))
    )
    np.testing.assert_allclose(mirrored, strength[::-1], atol=1e-6)


@pytest.mark.parametrize("fps", [12, 25, 60, 120, 600])
def test_a_fade_takes_as_long_at_every_rate(fps) -> None:
    """At each instant within a frame of what half a cosine over 0.32 s says."""
    seconds = np.arange(round(4 * fps)) / fps
    flags = seconds >= 2 - 1e-9
    strength = strengths(
        flags, seconds=seconds, fade_seconds=0.32, fade_start=False, fade_end=False
    )
    for shift, bound in ((-1 / fps, np.less_equal), (1 / fps, np.greater_equal)):
        ideal = 0.5 - 0.5 * np.cos(np.pi * np.clip((seconds + shift - 2) / 0.32, 0, 1))
        assert bound(ideal, strength + 1e-6 * (1 if shift < 0 else -1)).all()
    assert (strength[seconds > 2.32] == 1).all() and (strength[~flags] == 0).all()


def test_a_long_still_frame_does_not_swallow_the_fade_after_it() -> None:
    seconds = np.concatenate([[0.0], 2 + np.arange(50) / 25])
    flags = seconds >= 2
    strength = strengths(
        flags, seconds=seconds, fade_seconds=0.32, fade_start=False, fade_end=False
    )
    assert strength[1] < 0.05 and (np.diff(strength[:10]) > 0).all()
    undimmed = strengths(flags, seconds=seconds, fade_seconds=0, fade_start=False, fade_end=False)
    assert np.array_equal(undimmed, flags)
