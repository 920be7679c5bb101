"""Fits filters to training mouths that are degraded on purpose, and tests them on held-out ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from latentsync.restoration.personal.degradation import Degradation
from latentsync.restoration.personal.filterbank import Accumulator, FilterBank
from latentsync.restoration.personal.likelihood import LikelyDegradations, signature

GAP = 1.0
"""Seconds between a training mouth and a held-out one: neighbouring frames are near copies."""

Degrade = Callable[[int], np.ndarray]
"""Training mouth i -> (K, h, w) float32 code values: the same mouth after K degradations."""

_LEAST_TRAINING, _LEAST_HELD = 8, 3  # mouths
_BLOCK_SECONDS = 8.0  # of video for each block that is held out
_MOST_BLOCKS = 3
_HELD_SHARE = 0.2
_DRAWS = 4  # degradations for each mouth
_MOST_HELD = 8
# JPEG quality. An encoder drops faint detail, of which a JPEG with the same energies keeps traces:
# with the likeliest quality, 70 to 80, filters would rely on them.
_TRAINING_CODING = 45
_ROUNDING = 0.1  # code values squared, lost in 8-bit rounding: so that sharp mouths gain nothing
# Least squares underestimates; at 1.3 times its result a tenth of the gain is lost, and edges look
# exaggerated. After an encoder 1.0 is best.
_STRENGTHS = (1.3, 1.15, 1.0, 0.85, 0.7, 0.55, 0.4, 0.25)
_HEADROOM = 0.1  # log energy by which a restored mouth may exceed its counterparts
_MAX_FLICKER = 0.67  # r.m.s. of what is added, as a share of what is missing
_CODED = 0.7  # of the strength; on a video that was encoded again, 0.6 to 1 of it is right
_EXPLAINED = 2.0  # degradation error above which the finest detail is not restored
_UNDONE = 8.0  # degradation error above which the strength falls
_GRAINS = (0.7, 1.0, 1.4)  # sigma, pixels
_GRAIN_COST = 0.2  # dB


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """train, held_out: indices of mouths at least GAP apart. rest: all but train."""

    train: np.ndarray
    held_out: np.ndarray
    rest: np.ndarray


def split(seconds: np.ndarray) -> Split | None:
    """seconds: (F,), time of each mouth. None: too few mouths, or too short a video.

    Three blocks spread over a long video are held out, or the end of a short one.
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
    held, train = np.flatnonzero(distance <= 1e-6), np.flatnonzero(distance >= GAP)
    if len(held) < _LEAST_HELD or len(train) < _LEAST_TRAINING:
        return None
    rest = np.setdiff1d(np.arange(len(seconds)), train)
    return Split(train, held[spread(len(held), _MOST_HELD)], rest)


def spread(count: int, most: int) -> np.ndarray:
    """At most ``most`` indices below count, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def by_likelihood(originals: np.ndarray, found: LikelyDegradations) -> Degrade:
    """Each original mouth after some of the degradations, sampled by their likelihood."""

    def degrade(index: int) -> np.ndarray:
        random = np.random.default_rng(index)
        sampled = random.choice(len(found.degradations), _DRAWS, p=found.weights)
        seeds = random.integers(2**31, size=_DRAWS).tolist()
        pairs = zip(sampled, seeds, strict=True)
        chosen = [_for_training(found.degradations[i], seed) for i, seed in pairs]
        return np.stack([one(originals[index]) for one in chosen])

    return degrade


def _for_training(one: Degradation, seed: int) -> Degradation:
    """The degradation with another seed, and with the coding that filters are fitted to."""
    return replace(one, seed=seed, coding=min(one.coding, _TRAINING_CODING))


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """The filter bank's result on the held-out mouths.

    degraded, truth, added: (N, h, w) float32 code values; added: the bank's residual times
    strength. complete: fits to the mouths that were left out as well -> the bank to use.
    """

    degraded: np.ndarray
    truth: np.ndarray
    added: np.ndarray
    strength: float
    complete: Callable[[], FilterBank]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """originals: (F, h, w) float32 code values. mask: (h, w) in [0, 1], the region that counts."""

    originals: np.ndarray
    degrade: Degrade
    parts: Split
    mask: np.ndarray

    def run(
        self,
        generated: np.ndarray,
        counterparts: np.ndarray,
        *,
        degradation_error: float = 0.0,
        coded: bool = False,
        encoded: bool = False,
    ) -> TrainingResult:
        """Fits to the training mouths and measures on the held-out ones.

        generated: (G, h, w), mouths to restore. counterparts: (G, h, w), original mouths like
        them. degradation_error: of the simulated degradations; where it is high, strength and the
        finest detail are reduced. coded: they include noise and JPEG, which hide the others.
        encoded: they include the video's encoder, so that the filters know what it hides.
        """
        sums = Accumulator(torch.from_numpy(self.degrade(int(self.parts.train[0]))), self.mask)
        self._accumulate(sums, self.parts.train)
        degraded, truth = self._held_out()
        fine = sums.solved()
        grain = self._grain(
            fine, degraded, truth, least=1.0 if degradation_error > _EXPLAINED else 0.0
        )
        bank = replace(fine, grain=grain)

        def complete() -> FilterBank:
            self._accumulate(sums, self.parts.rest)
            return replace(sums.solved(), grain=grain)

        added = _added(bank, degraded)
        strength = min(
            1.0 if encoded else _STRENGTHS[0],
            _by_energy(bank, generated, counterparts, self.mask),
            self._by_flicker(added, truth - degraded),
            _STRENGTHS[0] * (_UNDONE / max(degradation_error, _UNDONE)) ** 0.5,
        ) * (_CODED if coded else 1.0)
        return TrainingResult(degraded, truth, added * np.float32(strength), strength, complete)

    def _held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Degraded and ground truth, each (N, h, w)."""
        pairs = [(self.degrade(int(i)), self.originals[i]) for i in self.parts.held_out]
        truth = [np.broadcast_to(original, degraded.shape) for degraded, original in pairs]
        return np.concatenate([degraded for degraded, _ in pairs]), np.concatenate(truth)

    def _grain(
        self, bank: FilterBank, degraded: np.ndarray, truth: np.ndarray, *, least: float
    ) -> float:
        """The coarsest grain that costs hardly any PSNR: finer detail would be invented."""
        added = {g: _added(replace(bank, grain=g), degraded) for g in (0.0, *_GRAINS)}
        gains = {g: self.gain(truth - degraded, values) for g, values in added.items()}
        free = [g for g in gains if gains[g] >= max(gains.values()) - _GRAIN_COST]
        return max(least, *free, 0.0)

    def gain(self, missing: np.ndarray, added: np.ndarray) -> float:
        """PSNR gain in dB of adding ``added`` where ``missing`` is lost. Both (N, h, w)."""
        before = self._powers(missing) + _ROUNDING
        after = self._powers(missing - added) + _ROUNDING
        return float(np.mean(10 * np.log10(before / after)))

    def _accumulate(self, sums: Accumulator, indices: np.ndarray) -> None:
        for index in indices:
            degraded = torch.from_numpy(self.degrade(int(index)))
            sums.add(degraded, torch.from_numpy(self.originals[index]).expand_as(degraded))

    def _by_flicker(self, added: np.ndarray, missing: np.ndarray) -> float:
        """The strength at which the added detail flickers less than the missing detail."""
        share = self._powers(added).mean() / (self._powers(missing).mean() + _ROUNDING)
        return float(_MAX_FLICKER / np.sqrt(max(share, 1e-3)))

    def _powers(self, values: np.ndarray) -> np.ndarray:
        """(N,): mean square in the mask of each of (N, h, w)."""
        return (values**2 * self.mask).mean((1, 2)) / self.mask.mean()


def _added(bank: FilterBank, lumas: np.ndarray) -> np.ndarray:
    return bank.residual(torch.from_numpy(lumas)).numpy()


def _by_energy(
    bank: FilterBank, generated: np.ndarray, counterparts: np.ndarray, mask: np.ndarray
) -> float:
    """The greatest strength at which no fine band has more energy than in the counterparts.

    0: the generated mouths have that energy already. Where the coarsest band, which no degradation
    raises, has more energy in them, they have more contrast by nature, in all bands: teeth, where
    the counterparts are shut.
    """
    goal = np.mean([signature(luma, mask) for luma in counterparts], axis=0)
    before = np.mean([signature(luma, mask) for luma in generated], axis=0)
    goal = goal + max(float((before - goal)[-1]), 0.0)
    added = _added(bank, generated)
    for strength in _STRENGTHS:
        restored = generated + np.float32(strength) * added
        found = np.mean([signature(luma, mask) for luma in restored], axis=0)
        if (found - goal).max() < _HEADROOM:
            return float(strength)
    return 0.0
