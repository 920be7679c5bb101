"""Computes the inputs of unit selection from videos and speech: faces, lips, pose, targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from latentsync.errors import MediaError
from latentsync.generate.base import AudioFeatures, Footage, GenerationRequest
from latentsync.generate.replay.costs import Wanted
from latentsync.generate.replay.database import UnitDatabase, best_stretches
from latentsync.generate.replay.fit import SIDE, Cheeks, Look, cheeks_of, face_edges
from latentsync.generate.replay.head_pose import MOUTH, fit_head_pose, steadied
from latentsync.generate.replay.lips import LipRegression, head_pose, lip_shape
from latentsync.geometry import points_to_aligned
from latentsync.types import Alignment

DATABASE_FRAMES = 4500
"""Size limit of the database: 3 minutes of the best speech at 25 frames a second."""
LEAST_SPEECH = 3.0  # seconds; with less, lips are hardly predicted from audio (r 0.28)
STEADY = 1.5  # sigma [frames] that poses are smoothed with
REMEDY = (
    "name a clip in which the same person speaks (generate.replay.source=CLIP), "
    "or use generate.name=latentsync"
)
_BLOCK = 512  # output frames whose features are computed at once: 0.6 MB


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The K faces of a video, in order of time.

    frames: (K,) int, indices of their frames. run: (K,) int, the same where frames follow each
    other in one shot. shot: (K,) int, its track. lips, pose: (K, 2), see lips.lip_shape and
    lips.head_pose. mouth: (K, 5, 2) aligned pixels, head_pose.MOUTH. rest: (K, 6, 2), predicted
    RESTING points for that pose. edges: (K, 2), see fit.face_edges.
    """

    frames: np.ndarray
    run: np.ndarray
    shot: np.ndarray
    lips: np.ndarray
    pose: np.ndarray
    mouth: np.ndarray
    rest: np.ndarray
    edges: np.ndarray

    def places(self, frames: np.ndarray) -> np.ndarray:
        """Indices of frames with a face -> places in these arrays."""
        return np.searchsorted(self.frames, frames)

    def look(self, places: np.ndarray, cheeks: Cheeks) -> Look:
        """Of the faces at these places. cheeks: of at least these."""
        shapes = cheeks.shapes(places)
        return Look(shapes, self.edges[places], self.lips[places, 1], self.pose[places])


def find_faces(footage: Footage) -> Faces:
    """The faces of pass 1. Raises ValueError where there is no face."""
    found = [(i, one) for i, one in enumerate(footage.alignments) if one is not None]
    frames = np.array([i for i, _ in found])
    alignments: Sequence[Alignment] = [one for _, one in found]
    points = np.stack([one.landmarks for one in alignments])
    shot = np.array([one.track for one in alignments])
    run = np.cumsum(
        (np.diff(frames, prepend=-1) > 1)
        | footage.cuts[frames]
        | (np.diff(shot, prepend=shot[:1]) != 0)
    )
    aligned = points_to_aligned(points, np.stack([one.matrix for one in alignments]))
    edges = face_edges([_aligned_outline(one) for one in alignments])
    pose = head_pose(points)
    steady = steadied(pose, run, STEADY)
    rest = np.empty((len(frames), len(MOUTH) + 1, 2))
    for number in np.unique(shot):
        inside = shot == number
        rest[inside] = fit_head_pose(aligned[inside], steady[inside])(steady[inside])
    mouth = aligned[:, list(MOUTH)]
    return Faces(frames, run, shot, lip_shape(points), pose, mouth, rest, edges)


def _aligned_outline(one: Alignment) -> np.ndarray | None:
    """(K, 2) aligned pixels."""
    if one.outline is None:
        return None
    return points_to_aligned(one.outline[None], one.matrix[None])[0]


def find_cheeks(
    footage: Footage, faces: Faces, places: np.ndarray, check: Callable[[], None]
) -> Cheeks:
    """The cheeks of the faces at these places, in any order. Reads the video up to the last.

    check: called at every frame; may raise.
    """
    chosen = np.unique(places)

    def checked() -> Iterator[torch.Tensor]:
        for crop in footage.crops(faces.frames[chosen], SIDE):
            check()
            yield crop

    return cheeks_of(chosen, checked())


def too_little(where: str, seconds: float) -> MediaError:
    """The error for a video, or a face in it, with hardly any speech."""
    return MediaError(
        "too little speech to select mouths from",
        f"{where} ({seconds:.1f} s found, {LEAST_SPEECH:g} s needed)",
        REMEDY,
    )


def silent_video(name: str) -> MediaError:
    """The error for a video without an audio stream."""
    return MediaError("the video has no audio, so no mouths can be selected", name, REMEDY)


def kept_faces(
    footage: Footage,
    faces: Faces,
    identity: np.ndarray,
    audio: AudioFeatures,
    *,
    speaking: np.ndarray,
) -> np.ndarray:
    """(M,) int, rising: places of the faces that can be selected. identity: (K,) int, of each face.

    speaking: identities in the target frames. Faces with something in front of them are left out.
    Raises MediaError where the footage has less than LEAST_SPEECH of one identity.
    """
    seconds = footage.seconds[faces.frames]
    speech = ~audio.silent(seconds)
    numbers = np.intersect1d(identity, speaking)
    clean = ~footage.occluded[faces.frames]
    kept = np.zeros(len(seconds), bool)
    for number in numbers:
        own = identity == number
        inside = own & clean
        kept |= best_stretches(seconds, inside, speech, limit=DATABASE_FRAMES // len(numbers))
        step = float(np.median(np.diff(footage.seconds))) if len(footage.seconds) > 1 else 0.0
        spoken = float((inside & speech).sum()) * step
        if spoken < LEAST_SPEECH:
            where = f"{footage.name}, the face at {seconds[own][0]:.1f} s"
            raise too_little(where, spoken)
    return np.flatnonzero(kept)


def build_database(
    footage: Footage,
    faces: Faces,
    kept: np.ndarray,
    cheeks: Cheeks,
    *,
    identity: np.ndarray,
    audio: AudioFeatures,
) -> UnitDatabase:
    """The database of the faces at the places ``kept``. cheeks: of at least these."""
    seconds = footage.seconds[faces.frames[kept]]
    return UnitDatabase(
        seconds,
        faces.run[kept],
        identity[kept],
        audio.around(seconds),
        faces.lips[kept],
        faces.look(kept, cheeks),
    )


@dataclass(frozen=True, slots=True, eq=False)
class TargetFrames:
    """The N frames of a request that are generated.

    numbers: (N,) int, indices of the output frames. places: (N,) int, of their faces in the target
    video. seconds: (N,) in the time of the speech. begins: (N,) bool, True where the frame does not
    continue the one before. shown: (N,) second of the speaker's video that the target frame shows,
    -inf where the target is another video.
    """

    numbers: np.ndarray
    places: np.ndarray
    seconds: np.ndarray
    begins: np.ndarray
    shown: np.ndarray

    def wanted(
        self,
        faces: Faces,
        cheeks: Cheeks,
        identity: np.ndarray,
        speech: AudioFeatures,
        regression: LipRegression,
        *,
        held_out: bool,
    ) -> Iterator[Wanted]:
        """Targets in blocks. faces, cheeks: of the target video. identity: (K,) int, of each face.

        held_out: whether lips are predicted by a fold that was not fitted to the target frame.
        """
        for start in range(0, len(self.numbers), _BLOCK):
            part = slice(start, start + _BLOCK)
            features = speech.around(self.seconds[part])
            yield Wanted(
                self.seconds[part],
                self.shown[part],
                identity[self.places[part]],
                features,
                regression.expected(features, self.shown[part] if held_out else None),
                faces.look(self.places[part], cheeks),
                speech.silent(self.seconds[part]),
                self.begins[part],
            )


def target_frames(request: GenerationRequest, faces: Faces, *, itself: bool) -> TargetFrames:
    """faces: of the request's video. itself: whether the mouths come from that video as well."""
    numbers = np.flatnonzero(request.chunks >= 0)
    frames = request.source[numbers]
    places = faces.places(frames)
    begins = request.jumps[numbers] | (np.diff(numbers, prepend=numbers[:1]) > 1)
    begins |= np.diff(faces.shot[places], prepend=faces.shot[places][:1]) != 0
    shown = request.video.seconds[frames] if itself else np.full(len(numbers), -np.inf)
    return TargetFrames(numbers, places, request.seconds[numbers], begins, shown)
