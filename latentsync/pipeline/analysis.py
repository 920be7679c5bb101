"""The analysis of one speaker in a video: what pass 1 knows of that face, frame by frame.

Decisions that need future frames (smoothing, gate, the restorer's settings) are made on whole
tracks, so that pass 2 can stream. See pipeline.observation for pass 1 itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import overload

import numpy as np

from latentsync.face.landmarks import CONTROL, FIVE, MOUTH
from latentsync.face.occlusion.occluders import Occluders
from latentsync.geometry import TEMPLATE, similarity
from latentsync.restoration.edge_blur import FacePlace
from latentsync.types import Alignment


@dataclass(frozen=True, slots=True, eq=False)
class Alignments(Sequence[Alignment | None]):
    """The alignments of a video's F frames, None without a face, in few arrays: as objects they
    would take twice the memory.

    row: (F,) int32, of the arrays for the frames with a face; -1: no face. tracks, confidences:
    (K,). matrices: (K, 2, 3). landmarks: (K, len(LANDMARKS), 2). outlines: (K, P, 2), or one by
    one where they differ in length or some are missing.
    """

    row: np.ndarray
    tracks: np.ndarray
    confidences: np.ndarray
    matrices: np.ndarray
    landmarks: np.ndarray
    outlines: np.ndarray | Sequence[np.ndarray | None]

    @classmethod
    def of(cls, alignments: Sequence[Alignment | None]) -> Alignments:
        """Raises ValueError where no frame has a face."""
        seen = [one for one in alignments if one is not None]
        outlines = [one.outline for one in seen]
        known = [one for one in outlines if one is not None]
        alike = len(known) == len(seen) and len({one.shape for one in known}) == 1
        return cls(
            rows(np.array([one is not None for one in alignments])),
            np.array([one.track for one in seen], np.int64),
            np.array([one.confidence for one in seen], np.float64),
            np.stack([one.matrix for one in seen]),
            np.stack([one.landmarks for one in seen]),
            np.stack(known) if alike else outlines,
        )

    def __len__(self) -> int:
        return len(self.row)

    @overload
    def __getitem__(self, index: int) -> Alignment | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[Alignment | None]: ...
    def __getitem__(self, index: int | slice) -> Alignment | list[Alignment | None] | None:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        row = int(self.row[index])
        if row < 0:
            return None
        confidence, track = float(self.confidences[row]), int(self.tracks[row])
        matrix, landmarks = self.matrices[row], self.landmarks[row]
        return Alignment(matrix, landmarks, confidence, track, self.outlines[row])


def rows(seen: np.ndarray) -> np.ndarray:
    """(F,) bool, whether each frame has a face -> (F,) int32, see Alignments."""
    return np.where(seen, np.cumsum(seen) - 1, -1).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class SourceAnalysis:
    """The result of pass 1 for one speaker in a video of F frames: about 1 kB a frame.

    pts: (F,) int64 ticks. pts_seconds: (F,) float64. cuts: (F,) bool, True where a new shot begins.
    alignments: F entries; None where that face is not seen.
    energies: (F, 2, BANDS) float32 band energies [mouth, rest of the face]; NaN where not measured.
    people: (F,) int, the number of faces detected in each frame.
    edges: (F, len(FIGURES)) float32, see restoration.edge_blur; NaN where not measured, which is
        most frames: a few a second are enough.
    occluders: what is in front of the face. one_person: False: of the largest face of each frame,
        whoever that is.
    sums: (F,) uint32, media.seeking.checksum of each frame, by which a frame that is read again is
        known; None: not computed.
    """

    pts: np.ndarray
    pts_seconds: np.ndarray
    cuts: np.ndarray
    alignments: Sequence[Alignment | None]
    energies: np.ndarray
    people: np.ndarray
    edges: np.ndarray
    occluders: Occluders = field(default_factory=Occluders)
    one_person: bool = True
    sums: np.ndarray | None = None

    @property
    def tracks(self) -> np.ndarray:
        """(F,) int: track of each frame's face, -1 without one."""
        return np.array([-1 if a is None else a.track for a in self.alignments], np.int64)

    @property
    def matrices(self) -> np.ndarray:
        """(F, 2, 3) float32, frame -> aligned crop; nan without a face."""
        nothing = np.full((2, 3), np.nan, np.float32)
        return np.stack([nothing if a is None else a.matrix for a in self.alignments])

    def end(self, rate: Fraction) -> float:
        """The second at which the last frame ends. rate: frames a second."""
        return float(self.pts_seconds[-1] + 1 / rate)

    def frames_by_track(self) -> dict[int, np.ndarray]:
        """Track number -> indices of its frames, rising."""
        tracks = self.tracks
        return {int(n): np.flatnonzero(tracks == n) for n in np.unique(tracks[tracks >= 0])}

    def __len__(self) -> int:
        return len(self.alignments)


def place_of(landmarks: np.ndarray, matrix: np.ndarray | None = None) -> FacePlace:
    """landmarks: (len(LANDMARKS), 2) frame pixels. matrix: (2, 3), frame -> aligned crop; None: the
    one that these landmarks give."""
    if matrix is None:
        matrix = similarity(landmarks[CONTROL], TEMPLATE)
    return FacePlace(matrix, landmarks[FIVE][:2], landmarks[MOUTH])
