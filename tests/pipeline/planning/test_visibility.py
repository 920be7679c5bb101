"""Patches fade around gaps and turned heads, inside a shot only, and the same in reverse."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.pipeline.planning.visibility import (
    FADE_SECONDS,
    TURNED_AWAY,
    TURNED_BACK,
    turned_away,
    visible,
)

N, FPS = 100, 25


def shares(fps: float = FPS, **changes: np.ndarray) -> np.ndarray:
    """Of a face that is there all the time and looks ahead."""
    count = len(next(iter(changes.values()), np.empty(N)))
    given = {
        "yaw": np.zeros(count),
        "has_face": np.ones(count, bool),
        "jumps": np.zeros(count, bool),
        "shot": np.zeros(count, int),
    }
    return visible(seconds=np.arange(count) / fps, **given | changes)


def without(*spans: tuple[int, int], count: int = N) -> np.ndarray:
    has_face = np.ones(count, bool)
    for start, end in spans:
        has_face[start:end] = False
    return has_face


def test_a_face_that_stays_and_looks_ahead_is_shown_whole() -> None:
    np.testing.assert_array_equal(shares(yaw=np.full(N, 30.0)), 1)


def test_a_face_that_is_lost_fades_out_before_and_in_after() -> None:
    share = shares(has_face=without((40, 60)))
    np.testing.assert_array_equal(share[40:60], 0)
    np.testing.assert_array_equal(share[[30, 33, 66, 70]], 1)
    assert (np.diff(share[33:41]) < 0).sum() >= 4 and np.abs(np.diff(share)).max() < 0.4
    np.testing.assert_allclose(share[33:40], share[66:59:-1], atol=1e-6)


def test_a_face_that_enters_in_the_middle_of_a_shot_fades_in() -> None:
    share = shares(has_face=without((0, 20)))
    assert 0 < share[20] < share[21] < share[22] < 1 and share[-1] == 1


@pytest.mark.parametrize("border", ["shot", "jumps"])
def test_at_a_cut_or_jump_nothing_fades(border: str) -> None:
    shot, jumps = np.zeros(N, int), np.zeros(N, bool)
    shot[50:], jumps[50] = border == "shot", border == "jumps"
    share = shares(has_face=without((50, 70)), shot=shot, jumps=jumps)
    np.testing.assert_array_equal(share[:50], 1)
    assert share[70] < 1


def test_a_head_that_turns_away_is_hidden_with_hysteresis() -> None:
    between = (TURNED_AWAY + TURNED_BACK) / 2
    yaw = np.zeros(N)
    yaw[20:40] = -between
    yaw[60:80] = between
    yaw[70] = TURNED_AWAY + 1
    share = shares(yaw=yaw)
    np.testing.assert_array_equal(share[:50], 1)
    np.testing.assert_array_equal(share[60:80], 0)
    assert share[59] < 1 and share[80] < 1 and share[52] == 1


def test_a_turn_is_not_carried_over_a_cut() -> None:
    yaw, shot = np.full(N, TURNED_BACK + 1), np.arange(N) // 50
    yaw[10] = TURNED_AWAY + 1
    share = shares(yaw=yaw, shot=shot)
    np.testing.assert_array_equal(share[:50], 0)
    np.testing.assert_array_equal(share[50:], 1)


def test_an_unknown_yaw_hides_nothing() -> None:
    np.testing.assert_array_equal(shares(yaw=np.full(N, np.nan)), 1)
    assert not turned_away(np.array([80.0]), np.array([False])).any()


def test_a_reversed_video_gets_the_same() -> None:
    rng = np.random.default_rng(0)
    yaw = np.cumsum(rng.normal(0, 12, N))
    has_face = without((30, 45), (80, 83))
    forth, back = shares(yaw=yaw, has_face=has_face), shares(yaw=yaw[::-1], has_face=has_face[::-1])
    np.testing.assert_allclose(forth, back[::-1], atol=1e-6)


@pytest.mark.parametrize("fps", [12, 50, 120])
def test_a_fade_lasts_as_long_at_any_frame_rate(fps: int) -> None:
    count = 4 * fps
    share = shares(fps, has_face=without((2 * fps, 3 * fps), count=count))
    fading = ((share > 0) & (share < 1)).sum() / fps
    assert fading == pytest.approx(2 * FADE_SECONDS, abs=2.1 / fps)


def test_without_frames_there_are_no_shares() -> None:
    assert shares(yaw=np.empty(0)).shape == (0,)
