"""Fitting to own mouths what a degradation takes away, and trying it on mouths held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from latentsync.restoration.personal.degradation import LikelyDegradations, signature
from latentsync.restoration.personal.filterbank import Accumulator, FilterBank

GAP = 1.0
"""Seconds between a mouth that is learnt from and one that is held out: neighbours are copies."""

Degrade = Callable[[int], np.ndarray]
"""Own mouth number i -> (K, h, w) float32 grey levels, the same mouth after K degradations."""

_LEAST_LEARNT, _LEAST_HELD = 8, 3  # mouths
_BLOCK_SECONDS = 8.0  # of film for each stretch that is held out
_MOST_BLOCKS = 3
_HELD_SHARE = 0.2
_DRAWS = 4  # degradations for each mouth
_MOST_HELD = 8
_ROUNDING = 0.1  # grey levels squared: what 8 bits cannot tell, so that sharp mouths gain nothing
# Least squares is timid: by 1.3 of its answer a tenth of the gain is lost, and edges look drawn.
_STRENGTHS = (1.3, 1.15, 1.0, 0.85, 0.7, 0.55, 0.4, 0.25)
_HEADROOM = 0.1  # log energy by which a restored mouth may outdo its counterparts
_LIVELY = 0.67  # what is added changes from frame to frame by that share of what is missing
_CODED = 0.7  # of the strength; on a film that was encoded once more, 0.6 to 1 of it is right
_EXPLAINED, _UNDONE = (
    2.0,
    8.0,
)  # misfits: above the first the grain is left, above the second more is
_GRAINS = (0.7, 1.0, 1.4)  # sigma, pixels
_GRAIN_COST = 0.2  # dB


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """learn, hold: indices of mouths at least GAP apart. rest: those in between."""

    learn: np.ndarray
    hold: np.ndarray
    rest: np.ndarray


def split(seconds: np.ndarray) -> Split | None:
    """seconds: (F,), when each mouth was filmed. None: too few, or too short a film, to hold any.

    A long film gives three stretches from all over it, a short one its end.
    """
    if not len(seconds):
        return None
    first, length = float(seconds.min()), float(np.ptp(seconds))
    blocks = int(np.clip(length // _BLOCK_SECONDS, 1, _MOST_BLOCKS))
    half = _HELD_SHARE * length / blocks / 2
    middles = first + length * (np.arange(blocks) + 0.5) / blocks if blocks > 1 else None
    if middles is None:
        middles = np.array([first + length - half])
    distance = np.abs(seconds[:, None] - middles).min(1) - half
    held, learnt = np.flatnonzero(distance <= 1e-6), np.flatnonzero(distance >= GAP)
    if len(held) < _LEAST_HELD or len(learnt) < _LEAST_LEARNT:
        return None
    rest = np.setdiff1d(np.arange(len(seconds)), learnt)
    return Split(learnt, held[spread(len(held), _MOST_HELD)], rest)


def spread(count: int, most: int) -> np.ndarray:
    """At most so many indices below count, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def by_likelihood(own: np.ndarray, found: LikelyDegradations) -> Degrade:
    """Each of the own mouths after some of the degradations, drawn as likely as they are."""

    def degrade(index: int) -> np.ndarray:
        random = np.random.default_rng(index)
        drawn = random.choice(len(found.degradations), _DRAWS, p=found.weights)
        seeds = random.integers(2**31, size=_DRAWS).tolist()
        chosen = [replace(found.degradations[i], seed=s) for i, s in zip(drawn, seeds, strict=True)]
        return np.stack([one(own[index]) for one in chosen])

    return degrade


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """What a bank does on the held-out mouths, before it has seen them.

    lost, truth, added: (N, h, w) float32 grey levels; added: the bank's residual times strength.
    complete: learns from the mouths that were left out as well -> the bank to use.
    """

    lost: np.ndarray
    truth: np.ndarray
    added: np.ndarray
    strength: float
    complete: Callable[[], FilterBank]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """own: (F, h, w) float32 grey levels. mask: (h, w) in [0, 1], the region that counts."""

    own: np.ndarray
    degrade: Degrade
    parts: Split
    mask: np.ndarray

    def run(
        self,
        generated: np.ndarray,
        alike: np.ndarray,
        *,
        misfit: float = 0.0,
        coded: bool = False,
    ) -> TrainingResult:
        """Learns from one part, tries on the other.

        generated: (G, h, w), mouths to restore. alike: (G, h, w), own mouths like them. misfit: of
        the degradations learnt from; what they leave unexplained is undone less, and not in its
        grain. coded: there are noise and a codec among them, which hides of what kind the others
        are.
        """
        sums = Accumulator(torch.from_numpy(self.degrade(int(self.parts.learn[0]))), self.mask)
        self._learn(sums, self.parts.learn)
        lost, truth = self._held_out()
        fine = sums.solved()
        grain = self._grain(fine, lost, truth, least=1.0 if misfit > _EXPLAINED else 0.0)
        bank = replace(fine, grain=grain)

        def complete() -> FilterBank:
            self._learn(sums, self.parts.rest)
            return replace(sums.solved(), grain=grain)

        added = _added(bank, lost)
        strength = min(
            _unlively(bank, generated, alike, self.mask),
            self._steady(added, truth - lost),
            _STRENGTHS[0] * (_UNDONE / max(misfit, _UNDONE)) ** 0.5,
        ) * (_CODED if coded else 1.0)
        return TrainingResult(lost, truth, added * np.float32(strength), strength, complete)

    def _held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Lost and truth, each (N, h, w)."""
        pairs = [(self.degrade(int(i)), self.own[i]) for i in self.parts.hold]
        lost = np.concatenate([seen for seen, _ in pairs])
        return lost, np.concatenate([np.broadcast_to(own, seen.shape) for seen, own in pairs])

    def _grain(
        self, bank: FilterBank, lost: np.ndarray, truth: np.ndarray, *, least: float
    ) -> float:
        """The coarsest grain that costs hardly anything: what is finer is not known, but drawn."""
        added = {g: _added(replace(bank, grain=g), lost) for g in (0.0, *_GRAINS)}
        gains = {g: self.gain(truth - lost, values) for g, values in added.items()}
        free = [g for g in gains if gains[g] >= max(gains.values()) - _GRAIN_COST]
        return max(least, *free, 0.0)

    def gain(self, missing: np.ndarray, added: np.ndarray) -> float:
        """dB by which what is added to mouths brings them nearer to the truth. Both (N, h, w)."""
        before = self._powers(missing) + _ROUNDING
        after = self._powers(missing - added) + _ROUNDING
        return float(np.mean(10 * np.log10(before / after)))

    def _learn(self, sums: Accumulator, indices: np.ndarray) -> None:
        for index in indices:
            lost = torch.from_numpy(self.degrade(int(index)))
            sums.add(lost, torch.from_numpy(self.own[index]).expand_as(lost))

    def _steady(self, added: np.ndarray, missing: np.ndarray) -> float:
        """The strength at which what is added flickers less than what is missing: see _LIVELY."""
        share = self._powers(added).mean() / (self._powers(missing).mean() + _ROUNDING)
        return float(_LIVELY / np.sqrt(max(share, 1e-3)))

    def _powers(self, values: np.ndarray) -> np.ndarray:
        """(N,): mean square in the mask of each of (N, h, w)."""
        return (values**2 * self.mask).mean((1, 2)) / self.mask.mean()


def _added(bank: FilterBank, lumas: np.ndarray) -> np.ndarray:
    return bank.residual(torch.from_numpy(lumas)).numpy()


def _unlively(
    bank: FilterBank, generated: np.ndarray, alike: np.ndarray, mask: np.ndarray
) -> float:
    """The greatest strength at which no fine band is livelier than in the own mouths.

    0: the generated ones are that lively already.
    """
    goal = np.mean([signature(luma, mask) for luma in alike], axis=0)
    added = _added(bank, generated)
    for strength in _STRENGTHS:
        restored = generated + np.float32(strength) * added
        found = np.mean([signature(luma, mask) for luma in restored], axis=0)
        if (found - goal).max() < _HEADROOM:
            return float(strength)
    return 0.0
