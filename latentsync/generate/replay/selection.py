"""Unit selection: a frame of the database for each output frame, at the lowest total cost.

For each output frame some frames of the database are candidates; the cheapest path through them is
found by the Viterbi algorithm. After C. Bregler, M. Covell, M. Slaney: Video Rewrite (SIGGRAPH
1997).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from latentsync.generate.replay.costs import Costs, UnitCosts, Wanted
from latentsync.generate.replay.database import Succession, UnitDatabase

NEAREST = 60
"""Frames of the database that are candidates by target cost."""
CARRIED = 40
"""Cheapest paths so far whose natural continuation is a candidate as well."""
DISSOLVE = 1 / 3
"""Share of the other unit in the last frame before a join and in the first after it."""
_BLOCK = 64  # output frames whose costs are held at once: 2 MB with a database of 7500


def select(
    database: UnitDatabase,
    wanted: Iterable[Wanted],
    costs: Costs,
    *,
    reliability: np.ndarray,
    closed: float,
    exclude_seconds: float = 0.0,
) -> np.ndarray:
    """(N,) int64: the frame of the database for each output frame; -1: none fits. Deterministic.

    wanted: in order, in blocks of any length. reliability: (2,) 0 to 1, weights of the predicted
    aperture and width. closed: aperture for a pause. exclude_seconds: frames of the database nearer
    to the target frame are forbidden, except the farthest of all.
    Keeps up to 0.8 kB per output frame. Raises ValueError: an identity without frames.
    """
    unit_costs = UnitCosts(
        database, costs, reliability=reliability, closed=closed, exclude_seconds=exclude_seconds
    )
    search = _Search(unit_costs)
    for part in wanted:
        for start in range(0, len(part), _BLOCK):
            search.add(part.part(start, start + _BLOCK))
    return search.path()


def joins(
    database: UnitDatabase, path: np.ndarray, seconds: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    """(N,) bool, True where the natural order is left in the middle of a shot.

    path, seconds, begins: (N,) as in select.
    """
    natural = Succession(database).follows(path[:-1], path[1:], np.diff(seconds))
    return np.concatenate([[False], ~natural & ~begins[1:]])[: len(path)]


def units(
    database: UnitDatabase, path: np.ndarray, seconds: np.ndarray, begins: np.ndarray
) -> list[list[float]]:
    """For each unit [first, last] second of the output, then [first, last] of the speaker's video.

    path, seconds: (N,) as in select. begins: (N,) bool, True where another unit begins.
    """
    if not len(path):
        return []
    first = np.flatnonzero(begins | (np.arange(len(path)) == 0))
    last = np.append(first[1:], len(path)) - 1
    ends = (
        seconds[first],
        seconds[last],
        database.seconds[path[first]],
        database.seconds[path[last]],
    )
    return [[round(float(second), 3) for second in unit] for unit in zip(*ends, strict=True)]


def dissolves(
    database: UnitDatabase, path: np.ndarray, seconds: np.ndarray, begins: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64 and (N,) float32: a second frame of the database and its share, at joins.

    The frame before a join takes a third of the next unit, the frame after it a third of the
    previous one, both continued naturally; where a run ends, its last frame is repeated.
    """
    order = Succession(database)
    partner, share = path.copy(), np.zeros(len(path), np.float32)
    for n in np.flatnonzero(joins(database, path, seconds, begins)):
        step = float(seconds[n] - seconds[n - 1])
        following = order.after(path[n : n + 1], -step)[0]
        previous = order.after(path[n - 1 : n], step)[0]
        if not share[n - 1]:  # a unit of one frame is dissolved with the previous one only
            partner[n - 1], share[n - 1] = (following if following >= 0 else path[n]), DISSOLVE
        partner[n], share[n] = (previous if previous >= 0 else path[n - 1]), DISSOLVE
    return partner, share


class _Search:
    """The Viterbi algorithm over candidates of each frame. Ties go to the earlier frame."""

    def __init__(self, unit_costs: UnitCosts) -> None:
        self._unit_costs = unit_costs
        self._second = 0.0
        self._states: list[np.ndarray] = []
        self._back: list[np.ndarray] = []
        self._total = np.zeros(1)

    def add(self, wanted: Wanted) -> None:
        for i, cost in enumerate(self._unit_costs.target_cost(wanted)):
            second = float(wanted.seconds[i])
            if not np.isfinite(cost).any():
                self._skip()
            elif wanted.begins[i] or not self._states or self._states[-1][0] < 0:
                self._begin(cost)
            else:
                self._continue(cost, second - self._second)
            self._second = second

    def path(self) -> np.ndarray:
        chosen = np.empty(len(self._states), np.int64)
        place = int(self._total.argmin())
        for i in range(len(chosen) - 1, -1, -1):
            chosen[i] = self._states[i][place]
            place = int(self._back[i][place])
        return chosen

    def _begin(self, cost: np.ndarray) -> None:
        """Without a join cost: all paths continue from the cheapest."""
        frames = _cheapest(cost, NEAREST)
        best = int(self._total.argmin())
        self._keep(frames, self._total[best] + cost[frames], np.full(len(frames), best))

    def _skip(self) -> None:
        """A frame without a unit: all paths continue from the cheapest, without a join."""
        best = int(self._total.argmin())
        self._keep(np.array([-1]), self._total[best : best + 1], np.array([best]))

    def _continue(self, cost: np.ndarray, step: float) -> None:
        before = self._states[-1]
        carried = self._unit_costs.order.after(before[_cheapest(self._total, CARRIED)], step)
        frames = np.union1d(_cheapest(cost, NEAREST), carried[carried >= 0])
        frames = frames[np.isfinite(cost[frames])]
        ways = self._total[:, None] + self._unit_costs.join_cost(before, frames, step)
        back = ways.argmin(axis=0)
        self._keep(frames, ways[back, np.arange(len(frames))] + cost[frames], back)

    def _keep(self, frames: np.ndarray, total: np.ndarray, back: np.ndarray) -> None:
        self._total = total
        self._states.append(frames.astype(np.int32))
        self._back.append(back.astype(np.int32))


def _cheapest(costs: np.ndarray, count: int) -> np.ndarray:
    """Indices of the smallest finite values, rising."""
    places = np.arange(len(costs))
    if len(costs) > count:
        places = np.sort(np.argpartition(costs, count - 1)[:count])
    return places[np.isfinite(costs[places])]
