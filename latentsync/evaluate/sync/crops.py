"""The boxes that SyncNet's crops are cut by, from the faces that this project finds.

Upstream's rule (tracks.py, face.active_speaker.face_crop) is defined on the boxes of S3FD, which
was trained on WIDER FACE: from hairline to chin, from ear to ear. The outline of our face mesh ends
lower on the forehead. What lies between them was measured against annotated faces of WIDER FACE,
in units of u = the mean of the distance of the eyes and that from eyes to mouth, from the middle
between eyes and mouth:

                        35 annotated faces      14 videos of 12 people, our outline
    half of the height  1.45 +- 0.12            1.32 +- 0.04
    middle of the box   0.20 +- 0.10 u above    0.07 +- 0.02 u above
    lower border        1.25 u below            1.25 u below
    width               2.21 +- 0.17            2.18 +- 0.12

So the chin and the sides are the same to 2 %, and the upper border is a tenth of the height higher.
A single annotation is off by 8 %, their mean by 2 %. S3FD itself averages over annotations, but its
own bias is not known here: its weights were not to be had. A box that is off by 3 % moves the crop
by 7 of its 224 pixels at the most.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from latentsync.evaluate.sync.tracks import FaceTrack
from latentsync.face.landmarks import FIVE
from latentsync.types import Alignment

RAISED = 0.10
"""Share of its height by which S3FD's box reaches higher than the outline of our face mesh."""
_HALF, _ABOVE = 1.45, 0.20
"""Of a face without an outline: half the height of its box, and its middle, in u; see above."""


def tight_box(alignment: Alignment) -> np.ndarray:
    """-> (4,) float64 x0, y0, x1, y1 frame pixels: about where S3FD's box would lie."""
    if alignment.outline is None:
        return _box_of_landmarks(alignment.landmarks[FIVE].astype(np.float64))
    low, high = alignment.outline.min(axis=0), alignment.outline.max(axis=0)
    box = np.concatenate([low, high]).astype(np.float64)
    box[1] -= RAISED * (box[3] - box[1])
    return box


def runs_of_tracks(
    alignments: Sequence[Alignment | None], frames: np.ndarray
) -> list[tuple[int, list[Alignment]]]:
    """Runs of instants that show one track without a break: number of the first, a face at each.

    alignments: of each frame. frames: (T,) of instants.instants.
    """
    seen = (
        (instant, alignments[index] if index >= 0 else None) for instant, index in enumerate(frames)
    )
    runs = []
    for track, run in groupby(seen, key=lambda one: None if one[1] is None else one[1].track):
        if track is not None:
            held = list(run)
            runs.append((held[0][0], [face for _, face in held if face is not None]))
    return runs


def tight_tracks(alignments: Sequence[Alignment | None], frames: np.ndarray) -> list[FaceTrack]:
    """Of each run, however short; arguments as for runs_of_tracks."""
    return [
        FaceTrack(start, np.stack([tight_box(face) for face in faces]))
        for start, faces in runs_of_tracks(alignments, frames)
    ]


def _box_of_landmarks(five: np.ndarray) -> np.ndarray:
    eyes, mouth = five[:2].mean(axis=0), five[3:].mean(axis=0)
    unit = (np.linalg.norm(five[1] - five[0]) + np.linalg.norm(mouth - eyes)) / 2
    middle = (eyes + mouth) / 2 - [0.0, _ABOVE * unit]
    return np.concatenate([middle - _HALF * unit, middle + _HALF * unit])
