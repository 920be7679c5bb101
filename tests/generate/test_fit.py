"""Which mouths fit: limits that no lip motion outweighs, and fades around frames without a unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentsync.generate.replay.fit import (
    CHEEKS_LIMIT,
    EDGES_LIMIT,
    FADE,
    MOST_GAIN,
    POSE_LIMITS,
    SHORTEST,
    SIDE,
    WIDTH_LIMITS,
    Look,
    cheeks_of,
    face_edges,
    fits,
    shown_shares,
    skin_gain,
    spans,
)

SKIN = (200, 160, 140)


def square(*changes: tuple[slice, slice, tuple[int, int, int]]) -> torch.Tensor:
    """(3, SIDE, SIDE): skin, with other colours in some rows and columns."""
    pixels = np.empty((SIDE, SIDE, 3), np.float32)
    pixels[:] = SKIN
    for rows, columns, colour in changes:
        pixels[rows, columns] = colour
    return torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Distance of the cheeks that differ more."""
    shapes = cheeks_of(np.arange(2), [one, other]).shapes(np.arange(2))
    halves = np.split(shapes[1] - shapes[0], 2)
    return max(float(np.linalg.norm(half)) for half in halves)


LEFT_EDGE = slice(0, SIDE), slice(0, 11)
MOUTH = slice(18, 23), slice(12, 20)
DARK = (40, 30, 30)


def test_cheeks_are_compared_without_the_light() -> None:
    brighter = square((slice(0, SIDE), slice(0, SIDE), (215, 150, 155)))
    assert apart(square(), brighter) < 0.05


def test_what_the_mouth_does_is_no_matter_of_the_cheeks() -> None:
    assert apart(square(), square((*MOUTH, DARK))) < 0.05


def test_the_edge_of_one_cheek_is_enough_to_refuse() -> None:
    wall = square((*LEFT_EDGE, (150, 150, 145)))
    assert apart(square(), wall) > CHEEKS_LIMIT
    mirrored = wall.flip(2)
    assert apart(square(), mirrored) == pytest.approx(apart(square(), wall), rel=0.01)


def test_dark_hair_counts_little_more_than_a_wall() -> None:
    wall, hair = (square((*LEFT_EDGE, colour)) for colour in ((140, 100, 80), (10, 5, 5)))
    assert apart(square(), hair) < 1.2 * apart(square(), wall)


def test_cheeks_are_found_by_the_places_of_their_faces() -> None:
    crops = [square(), square((*LEFT_EDGE, DARK)), square((slice(0, 32), slice(0, 32), (9, 9, 9)))]
    cheeks = cheeks_of(np.array([3, 8, 20]), crops)
    np.testing.assert_array_equal(cheeks.shapes(np.array([20, 3])), cheeks.shape[[2, 0]])
    np.testing.assert_allclose(cheeks.skins(np.array([3, 20])), [SKIN, (9, 9, 9)], atol=0.01)


def look(count: int = 1) -> Look:
    return Look(
        np.zeros((count, 8), np.float32), np.full((count, 2), 200.0), np.full(count, 0.7),
        np.zeros((count, 2)),
    )  # fmt: skip


def fit(**changes: object) -> bool:
    """Whether a unit that differs in this alone fits."""
    here = fits(look(), replace(look(), **changes))  # type: ignore[arg-type]
    assert here.shape == (1, 1)
    return bool(here[0, 0])


@pytest.mark.parametrize("side", [0, 1])
def test_a_limit_holds_for_each_cheek_and_edge(side: int) -> None:
    for share, fitting in ((0.99, True), (1.01, False)):
        cheeks, edges = np.zeros((1, 8), np.float32), np.full((1, 2), 200.0)
        cheeks[0, 4 * side] = share * CHEEKS_LIMIT
        edges[0, side] += share * EDGES_LIMIT
        assert fit(cheeks=cheeks) == fit(edges=edges) == fitting


def test_a_limit_holds_for_head_pose_and_the_width_of_the_mouth() -> None:
    for share, fitting in ((0.99, True), (1.01, False)):
        for direction in (-1, 1):
            assert fit(pose=np.array([[direction * share * POSE_LIMITS[0], 0]])) == fitting
            assert fit(pose=np.array([[0, direction * share * POSE_LIMITS[1]]])) == fitting
        for limit in WIDTH_LIMITS:
            assert fit(width=np.array([0.7 + share * limit])) == fitting
    assert not fit(pose=np.array([[0.8 * POSE_LIMITS[0], 0.8 * POSE_LIMITS[1]]]))


def test_an_unknown_edge_excludes_nothing() -> None:
    assert fit(edges=np.full((1, 2), np.nan))


def test_edges_are_where_the_outline_passes_the_mouth() -> None:
    box = np.array([[100, 100], [300, 100], [330, 500], [70, 500]], np.float32)
    left, right = face_edges([box])[0]
    assert left == pytest.approx(80.5) and right == pytest.approx(319.5)
    far = face_edges([box * [2.0, 1.0] - [210, 0]])[0]
    np.testing.assert_array_equal(far, [60, 360])
    assert np.isnan(face_edges([None, box - [0, 400]])).all()


def test_gain_is_the_change_of_the_skin_within_limits() -> None:
    gain = skin_gain(np.array([[200.0, 100, 0]]), np.array([[100.0, 110, 80]]))
    np.testing.assert_allclose(gain, [[MOST_GAIN, 100 / 110, 1 / MOST_GAIN]])


def found(count: int, *gaps: tuple[int, int]) -> np.ndarray:
    there = np.ones(count, bool)
    for start, end in gaps:
        there[start:end] = False
    return there


def shares(there: np.ndarray, *, fps: float = 30.0, begins: tuple[int, ...] = ()) -> np.ndarray:
    starts = np.isin(np.arange(len(there)), begins)
    return shown_shares(there, np.arange(len(there)) / fps, starts)


def test_a_mouth_fades_out_before_a_gap_and_in_after_it() -> None:
    share = shares(found(90, (40, 50)))
    np.testing.assert_array_equal(share[40:50], 0)
    np.testing.assert_array_equal(share[[0, 35, 54, 89]], 1)
    assert 0 < share[39] < share[38] < share[37] < 1 and 0 < share[50] < share[51] < 1
    faded = ((share > 0) & (share < 1)).sum() / 30
    assert faded == pytest.approx(2 * FADE, abs=2 / 30)


def test_at_a_cut_a_mouth_begins_and_ends_at_once() -> None:
    share = shares(found(90, (40, 50)), begins=(40, 50))
    np.testing.assert_array_equal(share, found(90, (40, 50)))


def test_a_mouth_between_two_gaps_is_shown_for_half_a_second_at_least() -> None:
    short = shares(found(90, (30, 35), (35 + round(30 * SHORTEST) - 1, 60)))
    assert not short[30:60].any() and short[0] == short[89] == 1
    enough = shares(found(90, (30, 35), (35 + round(30 * SHORTEST), 60)))
    assert enough[42] == 1


def test_a_video_that_is_short_as_a_whole_is_shown() -> None:
    np.testing.assert_array_equal(shares(found(5)), 1)
    assert shares(found(1)).tolist() == [1] and not len(shares(found(0)))
    assert not shares(found(9, (0, 9))).any()


def test_spans_name_the_first_and_last_second_of_each_gap() -> None:
    assert spans(~found(10, (2, 5), (9, 10)), np.arange(10) / 10) == [[0.2, 0.4], [0.9, 0.9]]
    assert spans(~found(4), np.arange(4.0)) == []
