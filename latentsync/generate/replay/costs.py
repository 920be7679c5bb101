"""Target cost and join cost: of a frame of the database against the wanted one, and of a join."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsync.generate.replay.database import Succession, UnitDatabase

REPETITION_SECONDS = 0.3  # what was shown more recently than that is seen to come again
STILL = 0.03
"""Spread below which a pose or a lip's differences are noise, and are not blown up to matter."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What counts how much. Each term is about 1 between two frames that have nothing in common.

    acoustic: the audio features. lips: how they should stand, by their regression. pose: where
    the head looks. silence: how far the lips are open in a pause; 0: a pause is audio like any
    other. join: leaving the natural order. repetition: showing again what has just been shown.
    join_lips, join_pose: how far the image jumps there.
    A real video that is to say its own words, frames within a second forbidden, is matched with r
    0.65 to 0.72 (aperture) and 3.4 to 6.1 joins a second when acoustic, lips, pose, join or
    join_lips is halved or doubled.
    """

    acoustic: float = 1.0
    lips: float = 3.0
    pose: float = 0.3
    silence: float = 8.0
    join: float = 0.6
    repetition: float = 0.6
    join_lips: float = 2.0
    join_pose: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """The next B output frames. identity, features, pose: as the database's.

    seconds: (B,) rising, of the output. shown: (B,) second, on the database's clock, of the video's
    frame that is shown. lips: (B, 2), how they should stand. silent: (B,) bool. begins: (B,)
    bool, True where the image jumps anyway.
    """

    seconds: np.ndarray
    shown: np.ndarray
    identity: np.ndarray
    features: np.ndarray
    lips: np.ndarray
    pose: np.ndarray
    silent: np.ndarray
    begins: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    def part(self, start: int, stop: int) -> Wanted:
        """Output frames from start to stop, not included."""
        fields = (getattr(self, name)[start:stop] for name in self.__slots__)
        return Wanted(*fields)


class UnitCosts:
    """The costs of one database. reliability, closed, exclude_seconds: as in selection.select."""

    def __init__(
        self,
        database: UnitDatabase,
        costs: Costs,
        *,
        reliability: np.ndarray,
        closed: float,
        exclude_seconds: float = 0.0,
    ) -> None:
        self._database, self._costs, self._exclude = database, costs, exclude_seconds
        self.order = Succession(database)
        self._reliability = np.asarray(reliability, np.float64)
        # Two frames picked at random lie at twice the variance: the halves below make that 1.
        self._features = database.features.astype(np.float32)
        self._spread = 2 * float(self._features.var(axis=0, dtype=np.float64).sum()) or 1.0
        self._squares = (self._features**2).sum(axis=1)
        self._lip_scale = np.maximum(database.lips.std(axis=0), STILL)
        self._pose_scale = np.maximum(database.pose.std(axis=0), STILL)
        self._lips, self._pose = database.lips / self._lip_scale, database.pose / self._pose_scale
        open_by = (database.lips[:, 0] - closed).clip(min=0) / self._lip_scale[0]
        self._open = (open_by**2).astype(np.float32)

    def target_cost(self, wanted: Wanted) -> np.ndarray:
        """(B, M) float32: every frame of the database for every output frame, joins left out.

        Infinite where it is forbidden. Raises ValueError: a person who is not in the database.
        """
        costs = self._costs
        cost = costs.acoustic * self._acoustic_distance(wanted.features)
        pauses = wanted.silent & (costs.silence > 0)  # the cost of a pause says how the lips stand
        weights = costs.lips * self._reliability * np.stack([~pauses, np.ones_like(pauses)], axis=1)
        _add(cost, wanted.lips / self._lip_scale, self._lips, weights)
        pose = wanted.pose / self._pose_scale
        _add(cost, pose, self._pose, np.full(pose.shape, costs.pose))
        cost += np.outer(costs.silence * pauses, self._open).astype(np.float32)
        cost[~self._allowed(wanted)] = np.inf
        return cost

    def join_cost(self, before: np.ndarray, after: np.ndarray, step: float) -> np.ndarray:
        """(S, T) float64: of showing ``after`` (T,) where ``before`` (S,) was, ``step`` seconds on.

        Nothing for the natural order. Otherwise what counts is how far ``after`` lies from what
        would have FOLLOWED, and ``before`` from what would have gone before: two mouths at one
        instant, as a dissolve shows them. Charging natural motion as well freezes the mouth.
        """
        costs, order = self._costs, self.order
        follows, precedes = order.after(before, step), order.after(after, -step)
        follows = np.where(follows >= 0, follows, before)
        precedes = np.where(precedes >= 0, precedes, after)
        cost = costs.join_lips * _jump(self._lips, (before, follows), (precedes, after))
        cost += costs.join_pose * _jump(self._pose, (before, follows), (precedes, after))
        pairs = before[:, None], after[None]
        cost += costs.join + costs.repetition * order.repeats(*pairs, REPETITION_SECONDS)
        return np.where(order.follows(*pairs, step), 0.0, cost)

    def _acoustic_distance(self, features: np.ndarray) -> np.ndarray:
        """(B, M) float32: distance between audio features."""
        own = features.astype(np.float32)
        apart = (own**2).sum(axis=1)[:, None] + self._squares - 2 * own @ self._features.T
        return np.maximum(apart, 0) / self._spread

    def _allowed(self, wanted: Wanted) -> np.ndarray:
        """(B, M) bool."""
        database = self._database
        allowed = database.identity == wanted.identity[:, None]
        if not allowed.any(axis=1).all():
            strangers = set(wanted.identity.tolist()) - set(database.identity.tolist())
            raise ValueError(f"no frame of person {sorted(strangers)} in the database")
        if self._exclude <= 0:
            return allowed
        away = np.where(allowed, np.abs(database.seconds - wanted.shown[:, None]), -1.0)
        limit = np.minimum(self._exclude, away.max(axis=1, keepdims=True))
        return allowed & (away >= limit - 1e-9)


def _add(cost: np.ndarray, wished: np.ndarray, own: np.ndarray, weights: np.ndarray) -> None:
    """Adds half the weighted squared distance, a column at a time: cost stays the one (B, M)."""
    for k in range(own.shape[1]):
        gap = (wished[:, k, None] - own[None, :, k]).astype(np.float32)
        cost += gap**2 * (weights[:, k, None] / 2).astype(np.float32)


def _jump(
    values: np.ndarray, old: tuple[np.ndarray, np.ndarray], new: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(S, T): mean of the distances before and after the join, of the old unit and the new."""
    then = _apart(values[old[0]], values[new[0]])
    now = _apart(values[old[1]], values[new[1]])
    return (then + now) / 2


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(S, K), (T, K) -> (S, T): half the squared distance."""
    return ((one[:, None] - other[None]) ** 2).sum(axis=-1) / 2
