"""One face, followed from frame to frame: its looks, and what is kept of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.occlusion.appearance import light_of, planes_of
from latentsync.face.occlusion.cells import cells_of
from latentsync.face.occlusion.looks import Compared, Looks
from latentsync.face.occlusion.observation import Observation

MOST_REFERENCES = 32
"""Frames that show how a face looks; of the two most alike the older one is dropped."""
REFERENCE_EVERY, NOVEL = 0.3, 0.7
"""Seconds from one to the next; and the mean distance [code values] from which on a frame is one
at once, so that a head may turn and a mouth may open wider than before."""
FAR_ALERT, ALIEN_ALERT = 120, 25
"""Cells from which on something may be in front of the face; see Compared. Of 17 clips of talking,
turning, bearded and laughing faces the highest were 88 and 16."""
FAR_CALM, ALIEN_CALM = 40, 8
"""Cells below which the face looks as before."""
PENDING = 0.4
"""Seconds for which a frame waits: what is in front of the face then may have begun in it."""
BEGINNING = 1.0
"""Seconds of a track whose frames are all kept: it may begin with an occluder."""
BEGINNING_STEP = 4
"""Hands are looked for in every one of that many frames of it."""
ABSORBED = 6.0
"""Seconds after which what has the face's own colours, and is no hand, is how it looks now."""
LONG, LONG_STEP = 10.0, 4
"""Seconds after which only every LONG_STEP-th frame is kept: memory stays small."""
BROKEN = 0.2
"""Seconds without the face after which its track may be another one; see link_faces."""
SIGNATURE = (12, 14)
"""Columns and rows of the image by which references are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """signature: its small image; see SIGNATURE."""

    observation: Observation
    signature: np.ndarray
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    seconds: float
    number: int
    observation: Observation
    planes: np.ndarray


@cache
def _size(height: int, width: int) -> tuple[int, int]:
    """(width, height), one object for all frames."""
    return width, height


@dataclass(slots=True, eq=False)
class Watched:
    """face: where it was last. seen: when. begin: when it was first detected."""

    face: DetectedFace
    seen: float
    begin: float = field(init=False)
    _light: np.ndarray | None = None
    _looks: Looks = field(default_factory=Looks)
    _references: list[_Reference] = field(default_factory=list)
    _pinned: set[int] = field(default_factory=set)
    _pending: deque[_Pending] = field(default_factory=deque)
    _kept: list[tuple[float, Observation]] = field(default_factory=list)
    _gaps: list[tuple[float, float]] = field(default_factory=list)
    _referred: float = -np.inf
    _alert_since: float = np.inf
    _calm_since: float = np.inf
    _hands: float = -np.inf
    _frames: int = 0

    def __post_init__(self) -> None:
        self.begin = self.seen

    @property
    def alert(self) -> bool:
        """Whether something may be in front of the face."""
        return self._alert_since < np.inf

    @property
    def wants_hands(self) -> bool:
        early = self.seen - self.begin <= BEGINNING and self._frames % BEGINNING_STEP == 0
        return early or (self.alert and self._frames % 2 == 0)

    def observe(self, pixels: np.ndarray, face: DetectedFace, seconds: float) -> Observation:
        """The face in the next frame that it is detected in."""
        made = Observation(face.landmarks, face.outline, _size(*pixels.shape[:2]))
        cells = cells_of(pixels, made.matrix)
        made.keep(cells)
        if self._light is None:
            self._light = light_of(cells)
        planes = planes_of(cells, self._light)
        compared = self._looks.compare(planes, made)
        if self._pending and self._pending[-1].observation.hands:
            self._hands = self.seen
        self._rouse(compared, seconds)
        if self._shows_face(compared, seconds) and self._due(compared.novelty, seconds):
            self._refer(made, planes, seconds)
        if seconds - self.seen > BROKEN:
            self._gaps.append((self.seen, seconds))
        self.face, self.seen = face, seconds
        self._frames += 1
        self._pending.append(_Pending(seconds, self._frames, made, planes))
        self._settle(seconds)
        return made

    def settle(self) -> None:
        """After its last frame: decides what is kept of those that still wait."""
        self._settle(np.inf)

    def runs(self) -> Iterator[tuple[list[Observation | None], np.ndarray]]:
        """What is kept, and its seconds, of all frames and of each unbroken run of them.

        The last frame of each is there without an observation: it tells when the run ends.
        """
        times = np.array([self.begin, *np.ravel(self._gaps), self.seen])
        broken = times.reshape(-1, 2) if self._gaps else ()
        for first, last in (times[[0, -1]], *broken):
            kept = [(at, one) for at, one in self._kept if first <= at <= last]
            yield [*(one for _, one in kept), None], np.array([*(at for at, _ in kept), last])

    def drop(self) -> None:
        """Keeps nothing of any frame."""
        for _, one in self._kept:
            one.keep(None)

    def _rouse(self, compared: Compared, seconds: float) -> None:
        """Begins and ends the alert."""
        if compared.far >= FAR_CALM or compared.alien >= ALIEN_CALM:
            self._calm_since = np.inf
        elif self._calm_since == np.inf:
            self._calm_since = seconds
        suspect = compared.far >= FAR_ALERT or compared.alien >= ALIEN_ALERT
        if suspect and not self.alert and self._references:
            self._alert_since = seconds
            self._forget_recent(seconds)
            self._pinned = {id(one.observation) for one in self._references}
        elif self.alert and seconds - self._calm_since > PENDING:
            self._alert_since = np.inf

    def _shows_face(self, compared: Compared, seconds: float) -> bool:
        if not self.alert:
            return True
        own = compared.alien < ALIEN_ALERT and seconds - self._hands > 1.0
        return own and seconds - self._alert_since > ABSORBED

    def _due(self, novelty: float, seconds: float) -> bool:
        return novelty > NOVEL or seconds - self._referred > REFERENCE_EVERY

    def _settle(self, seconds: float) -> None:
        """Decides what is kept of the frames that have waited long enough."""
        while self._pending and seconds - self._pending[0].seconds > PENDING:
            one = self._pending.popleft()
            made = one.observation
            if made.look:
                self._looks.add_colors(one.planes, made)
            thinned = one.seconds - self._alert_since > LONG and one.number % LONG_STEP
            early = one.seconds - self.begin <= BEGINNING
            if made.look or early or (self.alert and not thinned):
                made.pack()
                self._kept.append((one.seconds, made))
            else:
                made.keep(None)

    def _refer(self, made: Observation, planes: np.ndarray, seconds: float) -> None:
        cells = made.cells
        if cells is None:
            return
        small = cv2.resize(cells, SIGNATURE, interpolation=cv2.INTER_AREA).astype(np.float32)
        made.look, self._referred = (2 if self.alert else 1), seconds
        self._looks.appearance.add(planes)
        self._references.append(_Reference(made, small, seconds))
        if len(self._references) > MOST_REFERENCES:
            self._drop_alike()

    def _forget_recent(self, seconds: float) -> None:
        """What came while something arrived may show some of it. The first one stays."""
        for index in range(len(self._references) - 1, 0, -1):
            if seconds - self._references[index].seconds > PENDING:
                break
            self._references[index].observation.look = 0
            self._remove(index)

    def _drop_alike(self) -> None:
        images = np.stack([one.signature.ravel() for one in self._references])
        squares = (images**2).sum(axis=1)
        apart = squares[:, None] + squares[None] - 2 * images @ images.T
        apart[np.tril_indices(len(images))] = np.inf
        index = int(np.unravel_index(np.argmin(apart), apart.shape)[0])
        dropped = self._references[index].observation
        self._remove(index)
        if id(dropped) not in self._pinned:
            dropped.look = 0
            waiting = any(one.observation is dropped for one in self._pending)
            if not waiting:
                dropped.keep(None)

    def _remove(self, index: int) -> None:
        self._references.pop(index)
        self._looks.appearance.remove(index)
