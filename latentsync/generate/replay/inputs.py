"""From videos and speech to what units are chosen by: whose face is seen when, lips and pose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.errors import MediaError
from latentsync.generate.base import AudioFeatures, Footage, GenerationRequest
from latentsync.generate.replay.costs import Wanted
from latentsync.generate.replay.database import UnitDatabase, best_stretches
from latentsync.generate.replay.head_pose import MOUTH, fit_head_pose, steadied
from latentsync.generate.replay.lips import LipRegression, head_pose, lip_shape
from latentsync.geometry import points_to_aligned
from latentsync.types import Alignment

DATABASE_FRAMES = 4500
"""Frames that can be shown at most: 3 minutes of the best speech at 25 frames a second."""
LEAST_SPEECH = 3.0  # seconds; of less, lips can hardly be told from audio (r 0.28)
STEADY = 1.5  # sigma [frames] that poses are averaged over
REMEDY = (
    "name a clip in which the same person speaks (generate.replay.source=CLIP), "
    "or take generate.name=latentsync"
)
_BLOCK = 512  # output frames listened to at once: 0.6 MB


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """The K faces of a video, in its order.

    frames: (K,) int, numbers of their frames. run: (K,) int, the same where frames follow each
    other in one shot. shot: (K,) int, its track. lips, pose: (K, 2), see lips.lip_shape and
    lips.head_pose. mouth: (K, 5, 2) aligned pixels, head_pose.MOUTH. rest: (K, 6, 2), where the
    RESTING points lie in that pose.
    """

    frames: np.ndarray
    run: np.ndarray
    shot: np.ndarray
    lips: np.ndarray
    pose: np.ndarray
    mouth: np.ndarray
    rest: np.ndarray

    def places(self, frames: np.ndarray) -> np.ndarray:
        """Numbers of frames with a face -> places here."""
        return np.searchsorted(self.frames, frames)


def find_faces(footage: Footage) -> Faces:
    """What pass 1 saw. Raises ValueError where there is no face at all."""
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
    pose = head_pose(points)
    steady = steadied(pose, run, STEADY)
    rest = np.empty((len(frames), len(MOUTH) + 1, 2))
    for number in np.unique(shot):
        own = shot == number
        rest[own] = fit_head_pose(aligned[own], steady[own])(steady[own])
    return Faces(frames, run, shot, lip_shape(points), pose, aligned[:, list(MOUTH)], rest)


def too_little(where: str, seconds: float) -> MediaError:
    """The error of a video, or a person in it, who hardly speaks."""
    return MediaError(
        "too little speech to take mouths from",
        f"{where} ({seconds:.1f} s found, {LEAST_SPEECH:g} s needed)",
        REMEDY,
    )


def silent_video(name: str) -> MediaError:
    """The error of a video without an audio stream."""
    return MediaError("the video has no sound, so no mouths can be taken from it", name, REMEDY)


def build_database(
    footage: Footage, faces: Faces, identity: np.ndarray, audio: AudioFeatures, *, drawn: np.ndarray
) -> tuple[UnitDatabase, np.ndarray]:
    """The M faces that can be shown, and their places. identity: (K,) int, whose each is.

    drawn: identities that are to speak. Raises MediaError where one of them hardly does so in the
    footage.
    """
    seconds = footage.seconds[faces.frames]
    speech = ~audio.silent(seconds)
    numbers = np.intersect1d(identity, drawn)
    kept = np.zeros(len(seconds), bool)
    for number in numbers:
        own = identity == number
        kept |= best_stretches(seconds, own, speech, limit=DATABASE_FRAMES // len(numbers))
        step = float(np.median(np.diff(footage.seconds))) if len(footage.seconds) > 1 else 0.0
        spoken = float((own & speech).sum()) * step
        if spoken < LEAST_SPEECH:
            where = f"{footage.name}, the face at {seconds[own][0]:.1f} s"
            raise too_little(where, spoken)
    kept = np.flatnonzero(kept)
    database = UnitDatabase(
        seconds[kept],
        faces.run[kept],
        identity[kept],
        audio.around(seconds[kept]),
        faces.lips[kept],
        faces.pose[kept],
    )
    return database, kept


@dataclass(frozen=True, slots=True, eq=False)
class TargetFrames:
    """The N frames of a request that are generated.

    numbers: (N,) int, of the output frames. places: (N,) int, of their faces in the video. seconds:
    (N,) on the clock of the speech. begins: (N,) bool, True where the image jumps. shown: (N,)
    second of the speaker's video that is shown, -inf where that is another video.
    """

    numbers: np.ndarray
    places: np.ndarray
    seconds: np.ndarray
    begins: np.ndarray
    shown: np.ndarray

    def wanted(
        self,
        faces: Faces,
        identity: np.ndarray,
        speech: AudioFeatures,
        regression: LipRegression,
        *,
        held_out: bool,
    ) -> Iterator[Wanted]:
        """In parts. faces: of the video. identity: (K,) int, whose mouth each of them is to get.

        held_out: lips are expected by what has not seen the frame that is shown.
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
                faces.pose[self.places[part]],
                speech.silent(self.seconds[part]),
                self.begins[part],
            )


def target_frames(request: GenerationRequest, faces: Faces, *, itself: bool) -> TargetFrames:
    """faces: of the request's video. itself: whether the mouths are taken from that video, too."""
    numbers = np.flatnonzero(request.chunks >= 0)
    frames = request.source[numbers]
    places = faces.places(frames)
    begins = request.jumps[numbers] | (np.diff(numbers, prepend=numbers[:1]) > 1)
    begins |= np.diff(faces.shot[places], prepend=faces.shot[places][:1]) != 0
    shown = request.video.seconds[frames] if itself else np.full(len(numbers), -np.inf)
    return TargetFrames(numbers, places, request.seconds[numbers], begins, shown)
