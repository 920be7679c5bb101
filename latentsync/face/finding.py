"""Finds faces where none is followed yet: near or far, and whichever way up the frame is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from latentsync.face.detector import FaceBox, FaceDetector
from latentsync.face.models.finder import Find, Finder
from latentsync.face.models.following import Look
from latentsync.face.models.mesh import region_of_face
from latentsync.face.models.regions import (
    SAME_REGION,
    Region,
    around,
    overlap,
    turned_square,
)

Search = Callable[[np.ndarray, int], list[FaceBox]]
"""(frame, quarter) -> the faces that are upright in the frame turned back, best first. See
turned_square."""
Settled = Callable[[np.ndarray, Region], Look | None]
"""(frame, region) -> the face's points once they have converged; None: there is no face."""
Scored = tuple[Look, float]

ZOOM_MARGIN = 2.5
"""Side of the square around a small face, in sizes of its box, in which it is found once more."""

SURE = 0.86
"""Score x presence above which an upright find needs no comparison with turned ones. Of 716 finds
that were wrong by a quarter or half a turn, on twelve people, none had more than 0.853; of 930
right ones three quarters had 0.79 and more."""
MOST_TILES = 4
"""Squares in which a frame is searched for small faces."""
TURNED_SCORE, TURNED_PRESENCE = 0.6, 0.9
"""Least values of a face that is not upright: such faces are rare."""
TRIED_FRAMES, TRIED_EVERY = 3, 25
"""Turned faces are searched for in the first frames without a face, and then now and then."""
NEAR_EVERY = 3
"""Frames from one search for faces beside the followed ones to the next."""
FAR_EVERY = 10
"""Where all faces are small, frames from one search for further small ones to the next."""
LOST = 75
"""Frames in a row without a face, after which it may be another way up."""


class NearFaces:
    """Faces from a fifth of the frame on. 1 ms."""

    def __init__(self, finder: Finder, floor: float) -> None:
        self._finder, self._floor = finder, floor

    def __call__(self, frame: np.ndarray, quarter: int) -> list[FaceBox]:
        return [_box(one) for one in self._finder(frame, around(frame, quarter), self._floor)]


class FarFaces:
    """Faces from about a twentieth of the frame's short side on. 3 ms for each square tile."""

    def __init__(self, far: Finder, near: Finder, floor: float) -> None:
        """far: finds them in the frame. near: confirms them, enlarged."""
        self._far, self._near, self._floor = far, near, floor

    def __call__(self, frame: np.ndarray, quarter: int) -> list[FaceBox]:
        seen = [
            one
            for tile in tiles(frame, quarter)
            for find in self._far(frame, tile, self._floor)
            for one in self._near(frame, _zoomed(find), self._floor)[:1]
        ]
        return [_box(one) for one in _each_once(seen)]


class TurnedFrames:
    """A FaceDetector of someone else's as a Search: it gets the frame turned back."""

    def __init__(self, detector: FaceDetector, floor: float) -> None:
        self._detector, self._floor = detector, floor

    def __call__(self, frame: np.ndarray, quarter: int) -> list[FaceBox]:
        upright = np.ascontiguousarray(np.rot90(frame, quarter))
        found = [one for one in self._detector(upright) if one.score >= self._floor]
        return [_turned(one, frame, quarter) for one in found]


class FirstFinds:
    """State of one video, for one thread at a time."""

    def __init__(self, searches: Sequence[Search], settled: Settled) -> None:
        """searches: the first that finds a face is used; the first one is quick."""
        self._searches, self._settled = searches, settled
        self.reset()

    def reset(self) -> None:
        """The next frame is unrelated to the last one."""
        self._quarter, self._known, self._used = 0, False, self._searches[0]
        self._with = self._without = 0

    def further(self, frame: np.ndarray) -> list[FaceBox]:
        """Where faces are followed: in every NEAR_EVERY-th frame, those that a quick search shows;
        where the followed ones are small, a slow search now and then. Where they are not upright,
        which may be wrong, surely upright ones are searched for now and then."""
        self._with += 1
        if self._quarter and self._with % TRIED_EVERY == 0:
            for search in self._searches:
                boxes = search(frame, 0)
                if _value(self._faces(frame, boxes)) >= SURE:
                    self._quarter = 0
                    return boxes
        if self._used is not self._searches[0] and self._with % FAR_EVERY == 0:
            return self._used(frame, self._quarter)
        return self._searches[0](frame, self._quarter) if self._with % NEAR_EVERY == 0 else []

    def followed(self) -> None:
        """The faces of this frame were followed."""
        self._known, self._without = True, 0

    def lost(self) -> None:
        """A face was followed no longer: the next frame is searched."""
        self._with = -1

    def __call__(self, frame: np.ndarray) -> list[Scored]:
        """frame: (H, W, 3) uint8 RGB, in which no face is followed -> its faces with scores."""
        if self._without == LOST:
            self.reset()
        tried = self._without < TRIED_FRAMES or self._without % TRIED_EVERY == 0
        # A turned face that could not be followed in the very next frame was hardly one.
        tried = tried or (self._quarter > 0 and not self._known)
        self._without += 1
        for search in self._searches:
            self._quarter, found = self._best(frame, search, tried=tried)
            if found:
                self._used = search
                return found
        return []

    def _best(self, frame: np.ndarray, search: Search, *, tried: bool) -> tuple[int, list[Scored]]:
        here = self._faces(frame, search(frame, self._quarter))
        followed = self._known and (here or self._quarter == 0)
        if followed or _value(here) >= SURE or not (here or tried):
            return self._quarter, here
        if self._known:
            upright = self._faces(frame, search(frame, 0))
            return (0, upright) if _value(upright) >= SURE else (self._quarter, here)
        # An upright finder takes an inverted face for an upright one in half of the frames.
        seen = {self._quarter: here}
        for quarter in {0, 1, 2, 3} - {self._quarter}:
            boxes = search(frame, quarter)
            seen[quarter] = self._turned(frame, boxes) if quarter else self._faces(frame, boxes)
        best, faces = max(seen.items(), key=lambda item: _value(item[1]))
        return (best, faces) if faces else (0, [])

    def _turned(self, frame: np.ndarray, boxes: Sequence[FaceBox]) -> list[Scored]:
        likely = [box for box in boxes if box.score >= TURNED_SCORE]
        faces = self._faces(frame, likely)
        return [(look, score) for look, score in faces if look.presence >= TURNED_PRESENCE]

    def _faces(self, frame: np.ndarray, boxes: Sequence[FaceBox]) -> list[Scored]:
        looks = [(self._settled(frame, region(box)), box.score) for box in boxes]
        return [(look, score) for look, score in looks if look is not None]


def region(box: FaceBox) -> Region:
    """Where the landmarker looks for a face that was found."""
    return region_of_face(box.box, box.points)


def tiles(frame: np.ndarray, quarter: int) -> Iterator[Region]:
    """Squares that cover the frame, as a finder reduces what it sees to 192 x 192 pixels.

    At most MOST_TILES: over a very long and narrow frame they are wider than it.
    """
    height, width = frame.shape[:2]
    short, length = min(height, width), max(height, width)
    side = max(short, math.ceil(length / MOST_TILES))
    for start in np.linspace(0, length - side, math.ceil(length / side)):
        along, across = start + (side - 1) / 2, (short - 1) / 2
        x, y = (along, across) if width == length else (across, along)
        yield turned_square(float(x), float(y), side, quarter)


def _value(faces: Sequence[Scored]) -> float:
    return max((score * look.presence for look, score in faces), default=0.0)


def _each_once(finds: Sequence[Find]) -> list[Find]:
    """Best first. Tiles overlap, and a face in two of them is found twice."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda one: one.score, reverse=True):
        if all(overlap(find.place, one.place) <= SAME_REGION for one in kept):
            kept.append(find)
    return kept


def _zoomed(find: Find) -> Region:
    place = find.place
    side = ZOOM_MARGIN * max(place.width, place.height)
    return Region(place.x, place.y, side, side, place.angle)


def _box(find: Find) -> FaceBox:
    return FaceBox(find.place.box, find.score, find.points)


def _turned(found: FaceBox, frame: np.ndarray, quarter: int) -> FaceBox:
    """From pixels of np.rot90(frame, quarter) to those of the frame."""
    height, width = frame.shape[:2]
    matrix = {
        0: [[1, 0, 0], [0, 1, 0]],
        1: [[0, -1, width - 1], [1, 0, 0]],
        2: [[-1, 0, width - 1], [0, -1, height - 1]],
        3: [[0, 1, 0], [-1, 0, height - 1]],
    }[quarter]
    back = np.array(matrix, np.float64)
    corners = cv2.transform(np.asarray(found.box, np.float64).reshape(1, 2, 2), back)[0]
    points = found.points
    if points is not None:
        points = cv2.transform(np.asarray(points, np.float64)[None], back)[0]
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return FaceBox(box, found.score, points)
