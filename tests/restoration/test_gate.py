"""The gate restores what is blurred, leaves alone what is sharp, and never flickers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.errors import ConfigError
from latentsync.restoration.gate import MouthState, judge, strengths, wanted

LIMITS = {"min_scale": 0.5, "blur_on": 0.7, "blur_off": 0.3}


def at(fps: float, frames: int) -> np.ndarray:
    """(F,) presentation times."""
    return np.arange(frames) / fps


def judged(blur: np.ndarray, scale: float = 0.8) -> np.ndarray:
    """At 25 frames a second."""
    return judge(np.full(len(blur), scale), blur, seconds=at(25, len(blur)), **LIMITS)


def needed(
    blur: np.ndarray, scale: float = 0.8, when: str = "auto", uncertain: str = "leave"
) -> np.ndarray:
    return wanted(judged(blur, scale), when=when, uncertain=uncertain)[0]


def flat(value: float, frames: int = 100) -> np.ndarray:
    return np.full(frames, value)


@pytest.mark.parametrize(
    ("figure", "expected"), [(0.95, True), (0.71, True), (0.65, False), (0.01, False)]
)
def test_a_blurred_mouth_is_restored_and_a_sharp_one_is_not(figure: float, expected: bool) -> None:
    assert (needed(flat(figure)) == expected).all()


def test_always_and_never_ignore_the_sharpness() -> None:
    unknown = flat(np.nan)
    assert needed(unknown, when="always").all() and needed(flat(0.0), when="always").all()
    assert not needed(flat(0.9), when="never").any()


def test_another_when_is_refused() -> None:
    with pytest.raises(ConfigError, match="sometimes"):
        needed(flat(0.9), when="sometimes")


def test_an_uncertain_mouth_is_one_of_its_own() -> None:
    mouths = judged(flat(0.5))
    assert (mouths == MouthState.UNCERTAIN).all()
    for uncertain, gentle in (("leave", False), ("gentle", True)):
        wholly, gently = wanted(mouths, when="auto", uncertain=uncertain)
        assert not wholly.any() and (gently == gentle).all()


def test_what_is_restored_wholly_is_restored_gently_at_least() -> None:
    mouths = judged(np.concatenate([flat(0.9), flat(0.5), flat(0.1), flat(0.5)]))
    wholly, gently = wanted(mouths, when="auto", uncertain="gentle")
    assert gently[wholly].all() and gently[310:].all() and not wholly[310:].any()


@pytest.mark.parametrize(
    ("blur", "scale", "expected"),
    [
        (0.9, 0.8, MouthState.DEGRADED),
        (0.1, 0.8, MouthState.FILMED),
        (np.nan, 0.8, MouthState.UNKNOWN),
        (0.9, 0.3, MouthState.TOO_SMALL),
    ],
)
def test_each_mouth_is_held_for_something(blur: float, scale: float, expected: MouthState) -> None:
    assert (judged(flat(blur), scale) == expected).all()


def test_a_face_too_small_on_the_screen_is_left_alone() -> None:
    assert not needed(flat(0.9), scale=0.49).any()
    assert needed(flat(0.9), scale=0.51).all()


def test_frames_without_a_figure_do_not_break_a_run() -> None:
    figures = flat(np.nan)
    figures[::5] = 0.9
    assert needed(figures).all()


def test_a_track_without_any_figure_is_left_alone() -> None:
    assert not needed(flat(np.nan)).any()


def test_a_few_odd_frames_decide_nothing() -> None:
    blurred, sharp = flat(0.9), flat(0.1)
    blurred[40:48], sharp[40:48] = 0.0, 1.0
    assert needed(blurred).all() and not needed(sharp).any()


def test_a_figure_that_sways_between_the_limits_keeps_the_first_decision() -> None:
    sway = 0.5 + 0.19 * np.sin(np.arange(200) / 9)
    begun = np.concatenate([flat(0.9, 50), sway])
    assert needed(begun).all() and not needed(sway).any()


def test_a_video_that_turns_sharp_is_restored_up_to_there() -> None:
    result = needed(np.concatenate([flat(0.9), flat(0.1)]))
    assert result[:99].all() and not result[101:].any()


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=150))
@settings(max_examples=60, deadline=None)
def test_backwards_the_decisions_are_the_same_and_no_run_is_short(figures: list[float]) -> None:
    blur = np.array(figures)
    result = needed(blur)
    assert np.array_equal(judged(blur[::-1]), judged(blur)[::-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], result, [False]]).astype(int)))
    runs = edges[1::2] - edges[::2]
    assert (runs >= min(16, len(result))).all()


def faded(flags: np.ndarray, start: bool = False, end: bool = False, frames: int = 8) -> np.ndarray:
    """frames: of the fade, at 25 a second."""
    times = at(25, len(flags))
    return strengths(flags, seconds=times, fade_seconds=frames / 25, fade_start=start, fade_end=end)


def test_a_run_fades_in_and_out_inside_itself() -> None:
    flags = np.zeros(80, bool)
    flags[20:60] = True
    strength = faded(flags)
    assert strength.dtype == np.float32
    assert (strength[~flags] == 0).all() and (strength[28:52] == 1).all()
    assert (np.diff(strength[19:29]) > 0).all() and np.allclose(strength, strength[::-1])
    assert np.abs(np.diff(strength)).max() < 0.2


def test_a_track_starts_at_full_strength_after_a_cut_and_fades_after_a_gap() -> None:
    flags = np.ones(40, bool)
    assert (faded(flags) == 1).all()
    strength = faded(flags, start=True)
    assert strength[0] < 0.1 and (np.diff(strength[:9]) > 0).all() and (strength[8:] == 1).all()
    assert np.allclose(faded(flags, end=True), strength[::-1])


def test_without_a_fade_the_strengths_are_the_decisions() -> None:
    flags = np.array([False, True, True, False, True])
    assert np.array_equal(faded(flags, start=True, frames=0), flags)
