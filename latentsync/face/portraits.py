"""Small aligned images of the faces of a video, a few for each: whose face it is, is decided later.

Stored as JPEG of about 6 kB, at most one for EVERY_SECONDS and KEPT for each face of a shot: in
quick cutting 0.6 kB a frame and face, in long shots next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import FIVE
from latentsync.face.tracks import MAX_STEP, Track, size_of, step
from latentsync.frame_times import PTS_ROUNDING
from latentsync.geometry import frame_scale, part_of, similarity
from latentsync.types import Alignment

SIDE = 112
PORTRAIT_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""(5, 2) x, y in a square of SIDE: eyes, nose tip, mouth corners, image-left first. The constants
with which the training faces of ArcFace and SFace were aligned."""

EVERY_SECONDS = 0.4
"""Time from one portrait of a face to the next."""
KEPT = 8
"""Most portraits of one face in one shot."""
GALLERY = 32
"""Most portraits by which a person is recognised."""
JPEG_QUALITY = 95
LOST_SECONDS = 1.0
"""A face that comes back after more than that is counted as new, for its portraits."""
CLOSE = 1.0
"""Distance of two faces, in face sizes, below which one covers a part of the other."""
TURNED = 0.6
"""Distance of the nose tip from the middle between the eyes, along the line of the eyes and in
distances of the eyes, from which a face counts as not frontal at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One face at one moment.

    seconds: its frame's presentation time. quality: 0 and more; higher is more frontal and sharper.
    jpeg: the aligned image, compressed.
    """

    seconds: float
    quality: float
    jpeg: bytes

    @property
    def pixels(self) -> np.ndarray:
        """(112, 112, 3) uint8 RGB."""
        encoded = np.frombuffer(self.jpeg, np.uint8)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was encoded here
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def portrait(pixels: np.ndarray, face: DetectedFace | Alignment) -> np.ndarray:
    """pixels: (H, W, 3) uint8 RGB -> (112, 112, 3) uint8 RGB, the face on PORTRAIT_TEMPLATE.

    Upright, however the face is turned in the frame; what lies outside the frame repeats its
    border. Raises ValueError where all landmarks coincide.
    """
    matrix = similarity(face.landmarks[FIVE], PORTRAIT_TEMPLATE, np.float64)
    multiple = max(1, math.ceil(float(frame_scale(matrix))))
    fine = matrix * multiple
    fine[:, 2] += (multiple - 1) / 2  # pixel centres, not corners, are whole numbers
    side = SIDE * multiple
    part, fine = part_of(pixels, fine, (side, side))
    # geometry.extract is finer and takes five times as long.
    image = cv2.warpAffine(part, fine, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def frontality(landmarks: np.ndarray) -> float:
    """landmarks: (len(LANDMARKS), 2) -> 1: the nose is midway between the eyes; 0: TURNED."""
    left, right, nose = landmarks[FIVE][:3].astype(np.float64)
    eyes = right - left
    width = float(np.linalg.norm(eyes))
    aside = abs(float((nose - (left + right) / 2) @ eyes)) / max(width, 1e-6) ** 2
    return max(0.0, 1 - aside / TURNED)


@dataclass(slots=True, eq=False)
class _Face:
    """One face of the shot that is being read, and its portraits by number of their time slot.

    last: the face as it was seen last, at the time `seen`. due: time of the next portrait.
    slot: length of a slot in seconds; doubled whenever there are more than KEPT.
    """

    last: DetectedFace
    seen: float
    begin: float
    due: float
    slot: float = EVERY_SECONDS
    kept: dict[int, tuple[DetectedFace, Portrait]] = field(default_factory=dict)

    def keep(self, face: DetectedFace, made: Portrait) -> None:
        self.due = made.seconds + EVERY_SECONDS
        self._put(self.kept, face, made)
        while len(self.kept) > KEPT:
            self.slot *= 2
            before, self.kept = self.kept, {}
            for pair in before.values():
                self._put(self.kept, *pair)

    def _put(
        self, kept: dict[int, tuple[DetectedFace, Portrait]], face: DetectedFace, made: Portrait
    ) -> None:
        """The better portrait of a slot stays."""
        number = int((made.seconds - self.begin + PTS_ROUNDING) / self.slot)
        if number not in kept or kept[number][1].quality < made.quality:
            kept[number] = face, made


class PortraitCollector:
    """Collects portraits while pass 1 reads the video: one object for each video."""

    def __init__(self) -> None:
        self._faces: list[_Face] = []
        self._done: list[tuple[DetectedFace, Portrait]] = []

    def add(
        self, pixels: np.ndarray, faces: Sequence[DetectedFace], seconds: float, *, cut: bool
    ) -> None:
        """One frame and its faces. seconds: its presentation time, rising. cut: a shot begins.

        3 ms for each portrait of a face 250 px wide; the frames between them cost nothing. None is
        made of a face that overlaps another, and afterwards both are counted as new: which is which
        may have changed.
        """
        self._close([one for one in self._faces if cut or seconds - one.seen > LOST_SECONDS])
        alone = [face for face in faces if not overlaps_any(face, faces)]
        self._close([one for one in self._faces if overlaps_any(one.last, faces, but=1)])
        for one, face in zip(self._known(alone, seconds), alone, strict=True):
            one.last, one.seen = face, seconds
            if seconds >= one.due - PTS_ROUNDING:
                one.keep(face, _portrait_of(pixels, face, seconds))

    def by_track(self, tracks: Sequence[Track]) -> dict[int, list[Portrait]]:
        """Track id -> its portraits, by time; a track that none was made of is absent."""
        self._close(self._faces)
        owner = {id(face): track.id for track in tracks for face in track.faces}
        found: dict[int, list[Portrait]] = {}
        for face, made in self._done:
            if id(face) in owner:
                found.setdefault(owner[id(face)], []).append(made)
        return {track: sorted(ones, key=lambda one: one.seconds) for track, ones in found.items()}

    def _known(self, faces: Sequence[DetectedFace], seconds: float) -> list[_Face]:
        """The entry of each face: the nearest that it can continue, else a new one."""
        free = list(self._faces)
        entries = []
        for face in faces:
            near = min(free, key=lambda one: step(one.last, face), default=None)
            if near is None or not step(near.last, face) < MAX_STEP:
                near = _Face(face, seconds, seconds, seconds)
                self._faces.append(near)
            else:
                free.remove(near)
            entries.append(near)
        return entries

    def _close(self, faces: Sequence[_Face]) -> None:
        for face in faces:
            self._done += face.kept.values()
        self._faces = [one for one in self._faces if one not in faces]


def images_of(portraits: Sequence[Portrait]) -> np.ndarray:
    """(n, 112, 112, 3) uint8 RGB, in order: the best of each of up to GALLERY equal parts; n may be
    0."""
    if not portraits:
        return np.zeros((0, 112, 112, 3), np.uint8)
    parts = np.array_split(np.arange(len(portraits)), min(GALLERY, len(portraits)))
    best = [max((portraits[i] for i in part), key=lambda one: one.quality) for part in parts]
    return np.stack([one.pixels for one in best])


def overlaps_any(face: DetectedFace, others: Sequence[DetectedFace], but: int = 0) -> bool:
    """Whether the middle of more than ``but`` others is less than CLOSE face sizes away."""
    near = (
        np.linalg.norm(face.center - one.center) < CLOSE * max(size_of(face), size_of(one))
        for one in others
        if one is not face
    )
    return sum(map(bool, near)) > but


def _portrait_of(pixels: np.ndarray, face: DetectedFace, seconds: float) -> Portrait:
    image = portrait(pixels, face)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    edges = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
    # A share of it: a turned face that is in focus is still worth less than a frontal one.
    quality = frontality(face.landmarks) * float(np.sqrt(edges.std()))
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return Portrait(seconds, quality, encoded.tobytes())
