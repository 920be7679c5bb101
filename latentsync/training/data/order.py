"""Which clip an index stands for, and the random numbers of a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_ORDER, _SAMPLE = 0, 1
"""Purposes of random numbers."""


@dataclass(frozen=True, slots=True)
class Place:
    """A sample: its epoch, and its index in that."""

    epoch: int
    index: int


class EpochOrder:
    """In each epoch every clip comes `repeats` times, in an order of its own.

    All depends on the seed, the epoch and the index only: neither on workers nor on what was drawn
    before.
    """

    def __init__(self, clips: int, *, repeats: int = 1, seed: int = 0) -> None:
        self._clips, self._repeats, self._seed = clips, repeats, seed
        self._shuffled: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return self._clips * self._repeats

    def place(self, epoch: int, index: int) -> Place:
        """index: from 0; beyond the epoch's last it counts on in the following ones."""
        if index < 0:
            raise IndexError(index)
        later, within = divmod(index, len(self))
        return Place(epoch + later, within)

    def clip(self, place: Place) -> int:
        """The number of its clip."""
        return int(self._order(place.epoch)[place.index] % self._clips)

    def others(self, place: Place) -> Iterator[int]:
        """The other clips, in the order in which they follow in the epoch; each once."""
        first = self.clip(place)
        for clip in dict.fromkeys(np.roll(self._order(place.epoch), -place.index) % self._clips):
            if clip != first:
                yield int(clip)

    def random(self, place: Place, attempt: int = 0) -> np.random.Generator:
        key = (self._seed, _SAMPLE, place.epoch, place.index, attempt)
        return np.random.default_rng(np.random.SeedSequence(key))

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled[0] != epoch:
            random = np.random.default_rng(np.random.SeedSequence((self._seed, _ORDER, epoch)))
            self._shuffled = (epoch, random.permutation(len(self)))
        return self._shuffled[1]
