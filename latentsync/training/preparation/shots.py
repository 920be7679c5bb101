"""Step `shots`: a source is divided at its cuts, as the rest of the program finds them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from latentsync.training.preparation.manifest import DROPPED, Judged, Piece, seconds
from latentsync.training.preparation.settings import PreparationSettings


def judge_shots(cuts: np.ndarray, settings: PreparationSettings) -> Iterator[Judged]:
    """cuts: (F,) bool, whether a shot begins with each frame at 25 a second. One verdict for each
    shot."""
    starts = np.unique([0, *np.flatnonzero(cuts).tolist()]).tolist()
    for number, (start, stop) in enumerate(pairwise([*starts, len(cuts)])):
        shot = Piece(f"s{number:03d}", start, stop)
        if shot.frames < settings.shortest:
            yield Judged(shot, DROPPED, f"the shot lasts {seconds(shot.frames)}")
        else:
            yield Judged(shot)
