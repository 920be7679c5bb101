"""Unit selection: the cheapest path, without forbidden frames, deterministic, in bounded memory."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from latentsync.generate.replay.costs import REPETITION_SECONDS, Costs, UnitCosts, Wanted
from latentsync.generate.replay.database import Succession, UnitDatabase
from latentsync.generate.replay.fit import Look
from latentsync.generate.replay.selection import DISSOLVE, dissolves, joins, select, units

RELIABILITY = np.array([0.7, 0.2])
CLOSED = 0.03


def look_of(pose: np.ndarray) -> Look:
    """Nothing but head pose differs, and that little enough for any mouth to fit."""
    frames = len(pose)
    return Look(np.zeros((frames, 4), np.float32), np.zeros((frames, 2)), np.zeros(frames), pose)


def database_of(
    frames: int, *, seed: int = 0, fps: float = 25.0, features: int = 12
) -> UnitDatabase:
    rng = np.random.default_rng(seed)
    return UnitDatabase(
        seconds=np.arange(frames) / fps,
        run=np.zeros(frames, int),
        identity=np.zeros(frames, int),
        features=rng.normal(size=(frames, features)).astype(np.float32),
        lips=np.stack([rng.uniform(0, 0.3, frames), rng.normal(0.7, 0.05, frames)], axis=1),
        look=look_of(rng.uniform(-0.05, 0.05, (frames, 2))),
    )


STILL_HEAD = look_of(np.zeros((50, 2)))


def wanted_of(frames: int, *, seed: int = 1, fps: float = 25.0, features: int = 12) -> Wanted:
    database = database_of(frames, seed=seed, fps=fps, features=features)
    never = np.zeros(frames, bool)
    return Wanted(
        database.seconds,
        database.seconds,
        database.identity,
        database.features,
        database.lips,
        database.look,
        never,
        never,
    )


def choose(
    database: UnitDatabase, wanted: Wanted, costs: Costs | None = None, **others: float
) -> np.ndarray:
    costs = costs or Costs()
    return select(database, [wanted], costs, reliability=RELIABILITY, closed=CLOSED, **others)


def prices(
    database: UnitDatabase, wanted: Wanted, costs: Costs
) -> Callable[[tuple[int, ...]], float]:
    """What a way costs, added up in the plainest manner."""
    unit_costs = UnitCosts(database, costs, reliability=RELIABILITY, closed=CLOSED)
    frames, target = np.arange(len(database)), unit_costs.target_cost(wanted)
    join, begins = unit_costs.join_cost(frames, frames, 0.2), wanted.begins

    def price(way: tuple[int, ...]) -> float:
        shown = sum(float(target[n, frame]) for n, frame in enumerate(way))
        steps = [(a, b) for n, (a, b) in enumerate(itertools.pairwise(way), 1) if not begins[n]]
        return shown + sum(float(join[step]) for step in steps)

    return price


@pytest.mark.parametrize("seed", range(6))
def test_no_other_path_is_cheaper(seed: int) -> None:
    database, wanted = database_of(4, seed=seed, fps=5), wanted_of(5, seed=seed + 100, fps=5)
    begins, runs = wanted.begins.copy(), np.array([0, 0, 1, 1])
    begins[3] = seed % 2 == 0
    database = replace(database, run=runs)
    wanted = replace(wanted, begins=begins, shown=np.full(5, -np.inf))
    costs = Costs(join=0.2)
    price = prices(database, wanted, costs)
    cheapest = min(price(way) for way in itertools.product(range(4), repeat=5))
    assert price(tuple(choose(database, wanted, costs))) == pytest.approx(cheapest, rel=1e-5)


def test_self_reenactment_keeps_the_natural_order() -> None:
    database, wanted = database_of(200, seed=3), wanted_of(200, seed=3)
    np.testing.assert_array_equal(choose(database, wanted), np.arange(200))


def test_a_repeated_part_of_the_database_is_selected() -> None:
    database, repeated = database_of(300, seed=3), wanted_of(300, seed=3).part(120, 160)
    again = replace(repeated, seconds=repeated.seconds - 1.0, look=database.look[:40])
    path = choose(database, again, Costs(pose=0.0))
    np.testing.assert_array_equal(path, np.arange(120, 160))


def test_only_leaving_the_natural_order_costs() -> None:
    database = replace(database_of(10), run=np.repeat([0, 1], 5))
    unit_costs = UnitCosts(database, Costs(), reliability=RELIABILITY, closed=CLOSED)
    frames = np.arange(10)
    cost = unit_costs.join_cost(frames, frames, 0.04)
    natural = [(i, i + 1) for i in range(9) if i != 4]  # a cut lies between 4 and 5
    for pair in itertools.product(range(10), repeat=2):
        assert (cost[pair] == 0) == (pair in natural)
    assert cost[cost > 0].min() >= Costs().join


def test_what_counts_at_a_join_is_what_would_have_followed() -> None:
    """From lips that open to lips as open as they would be next is cheap, standing still is not."""
    database = database_of(20)
    opening = np.stack([np.tile(np.arange(10) * 0.03, 2), np.full(20, 0.7)], axis=1)
    database = replace(database, run=np.repeat([0, 1], 10), lips=opening, look=STILL_HEAD[:20])
    unit_costs = UnitCosts(database, Costs(), reliability=RELIABILITY, closed=CLOSED)
    cost = unit_costs.join_cost(np.array([3]), np.arange(10, 20), 0.04)[0]
    assert cost.argmin() == 4
    assert cost[4] == pytest.approx(Costs().join)


def test_showing_again_what_was_just_shown_costs_more() -> None:
    database = replace(database_of(50), lips=np.full((50, 2), 0.1), look=STILL_HEAD)
    unit_costs = UnitCosts(database, Costs(), reliability=RELIABILITY, closed=CLOSED)
    cost = unit_costs.join_cost(np.array([30]), np.arange(50), 0.04)[0]
    recent = (database.seconds <= database.seconds[30]) & (
        database.seconds >= database.seconds[30] - REPETITION_SECONDS
    )
    np.testing.assert_allclose(cost[recent], Costs().join + Costs().repetition)
    others = ~recent & (np.arange(50) != 31)
    np.testing.assert_allclose(cost[others], Costs().join)


@pytest.mark.parametrize("exclude", [0.2, 1.0, 3.0])
def test_frames_near_the_one_that_is_shown_are_not_used(exclude: float) -> None:
    database, wanted = database_of(200, seed=3), wanted_of(200, seed=3)
    path = choose(database, wanted, exclude_seconds=exclude)
    assert np.abs(database.seconds[path] - wanted.shown).min() >= exclude - 1e-6


def test_where_all_is_forbidden_the_farthest_frame_is_used() -> None:
    database, wanted = database_of(100), wanted_of(100)
    path = choose(database, wanted, exclude_seconds=100.0)
    np.testing.assert_array_equal(path, np.where(np.arange(100) < 50, 99, 0))


def test_no_identity_gets_the_mouth_of_another() -> None:
    identity = np.repeat([4, 7], 50)
    database = replace(database_of(100), identity=identity, run=identity)
    elsewhere = np.full(100, -100.0)
    wanted = replace(wanted_of(100), identity=np.repeat([7, 4], 50), shown=elsewhere)
    path = choose(database, wanted)
    np.testing.assert_array_equal(database.identity[path], wanted.identity)
    path = choose(database, wanted, exclude_seconds=100.0)
    np.testing.assert_array_equal(database.identity[path], wanted.identity)


def test_an_identity_without_a_frame_is_refused() -> None:
    wanted = replace(wanted_of(5), identity=np.full(5, 3))
    with pytest.raises(ValueError, match=r"no frame of identity \[3\] in the database"):
        choose(database_of(20), wanted)


def turned(look: Look, frames: slice) -> Look:
    pose = look.pose.copy()
    pose[frames] += 1.0
    return replace(look, pose=pose)


def test_a_frame_that_nothing_fits_gets_no_unit_and_parts_the_paths() -> None:
    database, wanted = database_of(100), wanted_of(60, seed=1)
    gap = replace(wanted, look=turned(wanted.look, slice(20, 25)))
    path = choose(database, gap)
    np.testing.assert_array_equal(np.flatnonzero(path < 0), np.arange(20, 25))
    alone = choose(database, wanted.part(25, 60))
    np.testing.assert_array_equal(path[25:], alone)


def test_a_unit_that_does_not_fit_is_never_shown_however_well_it_sounds() -> None:
    database, wanted = database_of(200, seed=3), wanted_of(200, seed=3)
    away = replace(database, look=turned(database.look, slice(100, 200)))
    assert choose(away, wanted).max() < 100


def test_the_neighbours_of_the_frame_itself_are_no_choice() -> None:
    """They show the lips as filmed: a frame that fits no other keeps its own mouth whole."""
    both = turned(database_of(200).look, slice(80, 100))
    database, wanted = database_of(200, seed=3), wanted_of(200, seed=3)
    path = choose(replace(database, look=both), replace(wanted, look=both))
    np.testing.assert_array_equal(np.flatnonzero(path < 0), np.arange(80, 100))


def test_a_pause_closes_the_lips_unless_silence_weighs_nothing() -> None:
    silent = (np.arange(100) // 10) % 2 == 1
    database, wanted = database_of(300), replace(wanted_of(100), silent=silent)
    quarter = np.percentile(database.lips[:, 0], 25)
    path = choose(database, wanted)
    assert (database.lips[path, 0][silent] < quarter).mean() > 0.95
    never = replace(wanted, silent=np.zeros(100, bool))
    off = Costs(silence=0.0)
    np.testing.assert_array_equal(choose(database, wanted, off), choose(database, never, off))


def test_the_aperture_follows_the_target_by_its_reliability() -> None:
    database, wanted = database_of(400), wanted_of(200)

    def r(reliability: float) -> float:
        path = select(
            database, [wanted], Costs(), reliability=np.array([reliability, 0.0]), closed=CLOSED
        )
        return float(np.corrcoef(database.lips[path, 0], wanted.lips[:, 0])[0, 1])

    assert r(1.0) > 0.8
    assert abs(r(0.0)) < 0.3


def test_block_sizes_do_not_matter_and_the_result_is_deterministic() -> None:
    database, wanted = database_of(300), wanted_of(200)
    whole = choose(database, wanted)
    cuts = [0, 1, 7, 90, 91, 200]
    parts = [wanted.part(a, b) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(
        whole, select(database, parts, Costs(), reliability=RELIABILITY, closed=CLOSED)
    )
    np.testing.assert_array_equal(whole, choose(database, wanted))


def test_without_targets_nothing_is_selected() -> None:
    assert len(choose(database_of(10), wanted_of(0))) == 0
    nothing = database_of(10), np.empty(0, int), np.empty(0), np.empty(0, bool)
    assert len(joins(*nothing)) == len(units(*nothing)) == len(dissolves(*nothing)[0]) == 0


def test_memory_hardly_grows_with_the_output() -> None:
    """A table of all costs would be 10000 x 600 x 4 bytes: 24 MB."""

    def peak(frames: int) -> int:
        database, wanted = database_of(10_000), wanted_of(frames)
        tracemalloc.start()
        choose(database, wanted)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    many, few = peak(600), peak(150)
    assert many < 20e6
    assert many < 1.2 * few


@pytest.mark.parametrize(
    ("database_fps", "step", "frames"), [(50, 0.04, 2), (25, 0.04, 1), (25, 0.08, 2)]
)
def test_units_play_at_their_original_speed_at_any_frame_rate(
    database_fps: float, step: float, frames: int
) -> None:
    order = Succession(database_of(100, fps=database_fps))
    np.testing.assert_array_equal(order.after(np.array([10, 20]), step), [10 + frames, 20 + frames])
    np.testing.assert_array_equal(
        order.after(np.array([10, 20]), -step), [10 - frames, 20 - frames]
    )


def test_nothing_follows_the_end_of_a_run() -> None:
    order = Succession(replace(database_of(10), run=np.repeat([0, 1], 5)))
    np.testing.assert_array_equal(order.after(np.array([4, 9, 3]), 0.04), [-1, -1, 4])
    np.testing.assert_array_equal(order.after(np.array([5, 0, 6]), -0.04), [-1, -1, 5])


def test_at_a_join_both_units_go_on_for_a_frame() -> None:
    database, path = database_of(100), np.array([10, 11, 12, 50, 51, 52])
    seconds, begins = np.arange(6) / 25, np.zeros(6, bool)
    np.testing.assert_array_equal(joins(database, path, seconds, begins), [0, 0, 0, 1, 0, 0])
    partner, share = dissolves(database, path, seconds, begins)
    np.testing.assert_allclose(share, [0, 0, DISSOLVE, DISSOLVE, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(partner[2:4], [49, 13])


def test_where_a_run_ends_its_last_frame_stands_still() -> None:
    database = replace(database_of(20), run=np.repeat([0, 1], 10))
    partner, share = dissolves(
        database, np.array([8, 9, 10, 11]), np.arange(4) / 25, np.zeros(4, bool)
    )
    np.testing.assert_allclose(share, [0, DISSOLVE, DISSOLVE, 0], rtol=1e-6)
    np.testing.assert_array_equal(partner[1:3], [10, 9])


def test_nothing_is_dissolved_where_the_image_jumps_anyway() -> None:
    begins = np.array([False, False, True, False])
    _, share = dissolves(database_of(60), np.array([8, 9, 40, 41]), np.arange(4) / 25, begins)
    assert not share.any()
