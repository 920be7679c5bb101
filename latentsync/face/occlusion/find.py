"""The occluders of a whole video, from what pass 1 kept of its faces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from latentsync.face.occlusion.decide import track_masks
from latentsync.face.occlusion.observation import Observation
from latentsync.face.occlusion.occluders import Occluders
from latentsync.types import Alignment


def find_occluders(
    observations: Sequence[Observation | None],
    alignments: Sequence[Alignment | None],
    seconds: np.ndarray,
) -> Occluders:
    """observations: of the chosen face of each of F frames, None where it was not observed.
    alignments: of those faces, smoothed; None: no face. seconds: (F,) presentation times, rising.

    Each unbroken run of a track is decided by itself.
    """
    masks: dict[int, np.ndarray] = {}
    start = 0
    for track, run in groupby(alignments, key=lambda one: None if one is None else one.track):
        frames = list(run)
        here = slice(start, start + len(frames))
        if track is not None:
            matrices = np.stack([one.matrix for one in frames if one is not None])
            found = track_masks(observations[here], matrices, np.asarray(seconds)[here])
            masks |= {here.start + i: mask for i, mask in found.items()}
        start = here.stop
    return Occluders(masks)
