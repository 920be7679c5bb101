"""Accuracy of StableSyncNet over a list of videos, as LatentSync's eval_syncnet_acc computes it.

Half of the pairs are right: 16 faces and their own audio. Of the others the faces are of another
moment of the same track, which may be one frame away, as upstream; so 100 % cannot be reached.
The network is right where the cosine is above 0.5 for right pairs and not above it for wrong ones.
Upstream draws from clips of aligned faces that its data preparation made, in half precision, and
anew each time; here faces are found in any video, float32 is used, and a seed draws the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.evaluate.sync.stable_score import AlignedRun, Pair, mel_window
from latentsync.models.stable_syncnet import IN_SYNC

PAIRS = 32
"""Of each video: 16 right ones and 16 wrong ones."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many pairs were told right. right, wrong: of the right pairs, and of the wrong ones."""

    right: int = 0
    right_pairs: int = 0
    wrong: int = 0
    wrong_pairs: int = 0

    @property
    def pairs(self) -> int:
        return self.right_pairs + self.wrong_pairs

    @property
    def share(self) -> float:
        """[0, 1]; nan: no pair."""
        return (self.right + self.wrong) / self.pairs if self.pairs else float("nan")

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(
            self.right + other.right,
            self.right_pairs + other.right_pairs,
            self.wrong + other.wrong,
            self.wrong_pairs + other.wrong_pairs,
        )


def drawn_pairs(
    runs: Sequence[AlignedRun], mel: np.ndarray, *, count: int = PAIRS, seed: int = 0
) -> list[Pair]:
    """count: even: half of them right, then as many wrong. seed: of the video. mel: (80, T).

    Empty: no track is long enough, with audio, for two different pairs.
    """
    generator = np.random.default_rng(seed)
    usable = [(run, starts) for run in runs if len(starts := _starts(run, mel)) > 1]
    if not usable:
        return []
    shares = np.array([len(starts) for _, starts in usable], float)
    pairs = []
    for number in range(count):
        run, starts = usable[generator.choice(len(usable), p=shares / shares.sum())]
        audio = int(generator.choice(starts))
        others = [start for start in starts if start != audio]
        is_right = number < count // 2
        pairs.append(run.pair(audio if is_right else int(generator.choice(others)), audio))
    return pairs


def told(pairs: Sequence[Pair], cosines: np.ndarray) -> Accuracy:
    """cosines: (K,) of the pairs; nan does not count."""
    right = np.array([pair.start == pair.audio for pair in pairs], bool)
    known, in_sync = ~np.isnan(cosines), cosines > IN_SYNC
    return Accuracy(
        right=int((right & in_sync & known).sum()),
        right_pairs=int((right & known).sum()),
        wrong=int((~right & ~in_sync & known).sum()),
        wrong_pairs=int((~right & known).sum()),
    )


def _starts(run: AlignedRun, mel: np.ndarray) -> list[int]:
    """Instants at which a pair may start; the audio has to be long enough there."""
    every = range(run.start, run.last_start + 1)
    return [start for start in every if mel_window(mel, start) is not None]
