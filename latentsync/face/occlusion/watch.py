"""Pass 1: watches each face for something in front of it, and keeps little while there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.occlusion.decide import shows_occluder
from latentsync.face.occlusion.observation import Observation
from latentsync.face.occlusion.watched import Watched

SAME_FACE = 0.6
"""Greatest movement of a face between two frames, in face sizes."""
FORGOTTEN = 2.0
"""Seconds for which a face that is not detected is remembered."""

HandFinder = Callable[[np.ndarray, DetectedFace], Sequence[np.ndarray]]
"""(pixels of a frame, a face in it) -> the hands near it, each (21, 2) frame pixels."""


class OcclusionWatch:
    """One for each video, in one thread at a time. 2 to 4 ms for a face with nothing in front."""

    def __init__(self, find_hands: HandFinder | None = None) -> None:
        """find_hands: called while something is near a face, in every second frame. None: hands
        are detected by their looks alone."""
        self._faces: list[Watched] = []
        self._find_hands = find_hands

    def watch(
        self, pixels: np.ndarray, faces: Sequence[DetectedFace], seconds: float, cut: bool
    ) -> list[Observation]:
        """The next frame, (H, W, 3) uint8 RGB, with its faces -> one observation for each.

        An observation belongs to its face and changes until half a second of the video later.
        cut: whether a new shot begins: then those of the faces before it are finished.
        """
        if cut:
            self.finish()
        for one in [one for one in self._faces if seconds - one.seen > FORGOTTEN]:
            self._faces.remove(one)
            _finish(one)
        free = list(self._faces)
        found = []
        for face in faces:
            watched = _nearest(face, free)
            if watched is None:
                watched = Watched(face, seconds)
                self._faces.append(watched)
            else:
                free.remove(watched)
            made = watched.observe(pixels, face, seconds)
            if watched.wants_hands and self._find_hands is not None:
                made.hands = tuple(self._find_hands(pixels, face))
            found.append(made)
        return found

    def finish(self) -> None:
        """After the last frame, so that little is kept of the last shot, too. Without it occluders
        are found all the same."""
        for one in self._faces:
            _finish(one)
        self._faces = []


def _finish(watched: Watched) -> None:
    """Of a face with nothing in front of it nothing is kept: hours of video fit into memory."""
    watched.settle()
    if not any(shows_occluder(some, seconds) for some, seconds in watched.runs()):
        watched.drop()


def _nearest(face: DetectedFace, watched: Sequence[Watched]) -> Watched | None:
    size = float(np.sqrt(max(face.area, 1.0)))
    steps = [float(np.linalg.norm(one.face.center - face.center)) / size for one in watched]
    if not steps or min(steps) > SAME_FACE:
        return None
    return watched[int(np.argmin(steps))]
