"""Pass 1: watches each face for something in front of it, and keeps little while there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.occlusion.appearance import Appearance, light_of, planes_of
from latentsync.face.occlusion.cells import cells_of
from latentsync.face.occlusion.observation import FAR, Observation

MOST_REFERENCES = 32
"""Frames that show how a face looks; the most alike are dropped."""
REFERENCE_EVERY = 0.3
"""Seconds from one of them to the next, where the face looks as before."""
NOVEL = 0.7
"""Mean distance from the face [code values] from which on a frame is one of them at once."""
ALERT = 40
"""Cells that do not look like the face from which on all frames are kept."""
CALM = 20
"""Cells below which the face is seen as it was before."""
PENDING = 0.4
"""Seconds for which a frame waits: what arrives in that time may have begun in it."""
BEGINNING = 1.0
"""Seconds of a track whose frames are all kept: it may begin with an occluder."""
LONG, LONG_STEP = 8.0, 4
"""Seconds after which only every LONG_STEP-th frame is kept: memory stays small."""
SAME_FACE = 0.6
"""Greatest movement of a face between two frames, in face sizes."""
FORGOTTEN = 2.0
"""Seconds for which a face that is not detected is remembered."""
SIGNATURE = (12, 14)
"""Columns and rows of the image by which frames are compared."""


HandFinder = Callable[[np.ndarray, DetectedFace], Sequence[np.ndarray]]
"""(pixels, face) -> hands near it, each (21, 2) frame pixels."""


class OcclusionWatch:
    """One for each video, in one thread at a time."""

    def __init__(self, find_hands: HandFinder | None = None) -> None:
        """find_hands: None: hands are found by their looks alone."""
        self._faces: list[_Watched] = []
        self._find_hands = find_hands

    def watch(
        self, pixels: np.ndarray, faces: Sequence[DetectedFace], seconds: float, cut: bool
    ) -> list[Observation]:
        """The next frame: (H, W, 3) uint8 RGB, with its faces -> one observation for each."""
        if cut:
            self._faces = []
        self._faces = [one for one in self._faces if seconds - one.seen <= FORGOTTEN]
        free = list(self._faces)
        found = []
        for face in faces:
            watched = _nearest(face, free)
            if watched is None:
                watched = _Watched(face, seconds)
                self._faces.append(watched)
            else:
                free.remove(watched)
            found.append(watched.observe(pixels, face, seconds, self._find_hands))
        return found


def _nearest(face: DetectedFace, watched: Sequence[_Watched]) -> _Watched | None:
    size = float(np.sqrt(max(face.area, 1.0)))
    steps = [float(np.linalg.norm(one.face.center - face.center)) / size for one in watched]
    if not steps or min(steps) > SAME_FACE:
        return None
    return watched[int(np.argmin(steps))]


@dataclass(slots=True, eq=False)
class _Reference:
    """signature: its small image; see SIGNATURE."""

    observation: Observation
    signature: np.ndarray
    pinned: bool = False


@dataclass(slots=True, eq=False)
class _Watched:
    """One face, followed from frame to frame."""

    face: DetectedFace
    seen: float
    begin: float = field(init=False)
    light: np.ndarray | None = None
    looks: Appearance = field(default_factory=Appearance)
    references: list[_Reference] = field(default_factory=list)
    pending: deque[tuple[float, Observation, np.ndarray, float]] = field(default_factory=deque)
    referred: float = -np.inf
    alert_since: float = np.inf
    calm_since: float = -np.inf
    frames: int = 0

    def __post_init__(self) -> None:
        self.begin = self.seen

    def observe(
        self,
        pixels: np.ndarray,
        face: DetectedFace,
        seconds: float,
        find_hands: HandFinder | None,
    ) -> Observation:
        self.face, self.seen = face, seconds
        height, width = pixels.shape[:2]
        made = Observation(face.landmarks, face.outline, (width, height))
        cells = cells_of(pixels, made.matrix)
        made.keep(cells)
        if self.light is None:
            self.light = light_of(cells)
        planes = planes_of(cells, self.light)
        distance = self.looks.distance(planes)
        inside = made.inside()
        made.score = int(np.count_nonzero((distance > FAR) & inside))
        novelty = float(distance[inside].mean()) if inside.any() else 0.0
        self._rouse(made.score, seconds)
        if self.alert and find_hands is not None and self.frames % 2 == 0:
            made.hands = tuple(find_hands(pixels, face))
        self.frames += 1
        if seconds - self.begin <= BEGINNING and self._due(novelty, seconds):
            self._refer(made, planes, seconds)
        self.pending.append((seconds, made, planes, novelty))
        self._settle(seconds)
        return made

    @property
    def alert(self) -> bool:
        return self.alert_since < np.inf

    def _rouse(self, score: int, seconds: float) -> None:
        if score >= CALM:
            self.calm_since = np.inf
        elif self.calm_since == np.inf:
            self.calm_since = seconds
        begun = seconds - self.begin > BEGINNING
        if score >= ALERT and begun and not self.alert:
            self.alert_since = seconds
            for one in self.references:
                one.pinned = True
        if self.alert and seconds - self.calm_since > PENDING:
            self.alert_since = np.inf

    def _settle(self, seconds: float) -> None:
        """Decides what is kept of the frames that have waited long enough."""
        while self.pending and seconds - self.pending[0][0] > PENDING:
            then, made, planes, novelty = self.pending.popleft()
            if made.reference:
                continue
            if not self.alert and made.score < ALERT and self._due(novelty, then):
                self._refer(made, planes, then)
            elif self.alert or then - self.begin <= BEGINNING or made.score >= ALERT:
                made.pack()
                long = then - self.alert_since > LONG
                if long and self.frames % LONG_STEP:
                    made.keep(None)
            else:
                made.keep(None)

    def _due(self, novelty: float, seconds: float) -> bool:
        return novelty > NOVEL or seconds - self.referred > REFERENCE_EVERY

    def _refer(self, made: Observation, planes: np.ndarray, seconds: float) -> None:
        made.pack()
        made.reference, self.referred = True, seconds
        cells = made.cells
        assert cells is not None
        small = cv2.resize(cells, SIGNATURE, interpolation=cv2.INTER_AREA).astype(np.float32)
        self.looks.add(planes)
        self.references.append(_Reference(made, small))
        if len(self.references) > MOST_REFERENCES:
            self._drop()

    def _drop(self) -> None:
        """Drops the older of the two references that are most alike."""
        images = np.stack([one.signature.ravel() for one in self.references])
        squares = (images**2).sum(axis=1)
        apart = squares[:, None] + squares[None] - 2 * images @ images.T
        apart[np.tril_indices(len(images))] = np.inf
        index = int(np.unravel_index(np.argmin(apart), apart.shape)[0])
        dropped = self.references.pop(index)
        self.looks.remove(index)
        dropped.observation.reference = dropped.pinned
        if not dropped.pinned:
            dropped.observation.keep(None)
