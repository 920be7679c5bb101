"""Target cost of showing a frame of the database, and join cost between two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentsync.generate.replay.database import Succession, UnitDatabase
from latentsync.generate.replay.fit import ELSEWHERE, LEAST_CHOICE, Look, fits

REPETITION_SECONDS = 0.3  # a frame that was shown less long ago is a visible repetition
STILL = 0.03
"""Smallest standard deviation to normalise poses and lip shapes by; below it they are noise."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Weights of the cost terms. Each term is about 1 between two unrelated frames.

    acoustic: distance of audio features. lips: of the lip shape to the one predicted from audio.
    pose: of head poses. silence: openness of the lips in a pause; 0: a pause is like other audio.
    join: leaving the natural order. repetition: repetition penalty. join_lips, join_pose: change of
    lips and pose at a join.
    In self-reenactment with a neighbourhood of 1 s held out, halving or doubling acoustic, lips,
    pose, join or join_lips gives r 0.65 to 0.72 (aperture) and 3.4 to 6.1 joins a second.
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
    """Targets of the next B output frames. identity, features, look: as in the database.

    seconds: (B,) rising, of the output. shown: (B,) second, in the database's time, of the target
    frame. lips: (B, 2), predicted lip shape. silent: (B,) bool. begins: (B,) bool, True where the
    output does not continue the frame before.
    """

    seconds: np.ndarray
    shown: np.ndarray
    identity: np.ndarray
    features: np.ndarray
    lips: np.ndarray
    look: Look
    silent: np.ndarray
    begins: np.ndarray

    def __len__(self) -> int:
        return len(self.seconds)

    def part(self, start: int, stop: int) -> Wanted:
        """Output frames from start to stop, not included."""
        fields = (getattr(self, name)[start:stop] for name in self.__slots__)
        return Wanted(*fields)


class UnitCosts:
    """Costs for one database. reliability, closed, exclude_seconds: as in selection.select."""

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
        # Two random frames lie at a squared distance of twice the variance: the halves make it 1.
        self._features = database.features.astype(np.float32)
        self._spread = 2 * float(self._features.var(axis=0, dtype=np.float64).sum()) or 1.0
        self._squares = (self._features**2).sum(axis=1)
        self._lip_scale = np.maximum(database.lips.std(axis=0), STILL)
        self._pose_scale = np.maximum(database.look.pose.std(axis=0), STILL)
        self._lips = database.lips / self._lip_scale
        self._pose = database.look.pose / self._pose_scale
        open_by = (database.lips[:, 0] - closed).clip(min=0) / self._lip_scale[0]
        self._open = (open_by**2).astype(np.float32)

    def target_cost(self, wanted: Wanted) -> np.ndarray:
        """(B, M) float32: every frame of the database for every output frame, without joins.

        Infinite where it is forbidden or does not fit; a row may be all infinite. Raises
        ValueError: an identity without frames.
        """
        costs, allowed = self._costs, self._allowed(wanted)
        cost = costs.acoustic * self._acoustic_distance(wanted.features)
        pauses = wanted.silent & (costs.silence > 0)  # the silence term takes its place
        weights = costs.lips * self._reliability * np.stack([~pauses, np.ones_like(pauses)], axis=1)
        _add(cost, wanted.lips / self._lip_scale, self._lips, weights)
        pose = wanted.look.pose / self._pose_scale
        _add(cost, pose, self._pose, np.full(pose.shape, costs.pose))
        cost += np.outer(costs.silence * pauses, self._open).astype(np.float32)
        cost[~allowed] = np.inf
        return cost

    def join_cost(self, before: np.ndarray, after: np.ndarray, step: float) -> np.ndarray:
        """(S, T) float64: cost of showing ``after`` (T,) ``step`` seconds after ``before`` (S,).

        0 for the natural order. Otherwise ``after`` is compared with the natural successor of
        ``before``, and ``before`` with the natural predecessor of ``after``: two mouths at one
        instant, as a dissolve shows them. Comparing ``before`` with ``after`` would penalise
        natural motion, and the mouth would freeze.
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
        target = features.astype(np.float32)
        products = target @ self._features.T
        apart = (target**2).sum(axis=1)[:, None] + self._squares - 2 * products
        return np.maximum(apart, 0) / self._spread

    def _allowed(self, wanted: Wanted) -> np.ndarray:
        """(B, M) bool; rows without any True: no unit fits."""
        database = self._database
        allowed = database.identity == wanted.identity[:, None]
        if not allowed.any(axis=1).all():
            missing = set(wanted.identity.tolist()) - set(database.identity.tolist())
            raise ValueError(f"no frame of identity {sorted(missing)} in the database")
        allowed &= fits(wanted.look, database.look)
        elsewhere = np.abs(database.seconds - wanted.shown[:, None]) > ELSEWHERE
        choice = (allowed & elsewhere).sum(axis=1)
        allowed &= choice[:, None] >= max(1.0, LEAST_CHOICE / (self.order.step or LEAST_CHOICE))
        if self._exclude <= 0:
            return allowed
        away = np.where(allowed, np.abs(database.seconds - wanted.shown[:, None]), -1.0)
        limit = np.minimum(self._exclude, away.max(axis=1, keepdims=True))
        return allowed & (away >= limit - 1e-9)


def _add(cost: np.ndarray, target: np.ndarray, units: np.ndarray, weights: np.ndarray) -> None:
    """Adds half the weighted squared distance in place, a column at a time to save memory."""
    for k in range(units.shape[1]):
        gap = (target[:, k, None] - units[None, :, k]).astype(np.float32)
        cost += gap**2 * (weights[:, k, None] / 2).astype(np.float32)


def _jump(
    values: np.ndarray, old: tuple[np.ndarray, np.ndarray], new: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(S, T): mean distance between the old and the new unit, before and after the join."""
    then = _apart(values[old[0]], values[new[0]])
    now = _apart(values[old[1]], values[new[1]])
    return (then + now) / 2


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(S, K), (T, K) -> (S, T): half the squared distance."""
    return ((one[:, None] - other[None]) ** 2).sum(axis=-1) / 2
