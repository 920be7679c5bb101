"""A closed mouth for pauses of the new speech: the person's own, from the same video.

The frames of a pause show one closed mouth, transplanted into each; it changes, in a dissolve, only
where the head has moved too far from the pose that it was filmed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from latentsync.generate.base import Footage
from latentsync.generate.replay.database import pack_crops, unpack
from latentsync.generate.replay.head_pose import placement
from latentsync.generate.replay.identity import link_identities
from latentsync.generate.replay.inputs import Faces, find_faces
from latentsync.generate.replay.transplant import Mouth, Transplanter

SHUT = 0.06
"""Largest aperture of a closed mouth, in distances between the brows; see replay.lips.lip_shape."""
MOST_CLOSED = 10  # percentile of a person's aperture up to which a mouth may count as closed
MOVING = 0.02  # change of the aperture from frame to frame from which lips move: a blurred frame
FAR = 0.12
"""Greatest distance of two head poses, see replay.lips.head_pose: a turn by about 20 degrees."""
OTHER_SHOT = 0.06  # distance of poses that a mouth of the same shot may be farther away
CANDIDATES = 400  # closed mouths of one person that are compared, evenly spread
DISSOLVE = 0.28  # seconds in which one closed mouth becomes another
NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class _Selected:
    """Closed mouths of K output frames. unit, partner: (K,) int, places in the faces; NONE: no
    mouth fits. share: (K,) of the partner."""

    unit: np.ndarray
    partner: np.ndarray
    share: np.ndarray


class ClosedMouths:
    """The closed mouths of one video. Any number of threads may call it.

    missing: (N,) bool, output frames that need one and for which the video has none in their pose.
    """

    def __init__(
        self,
        faces: Faces,
        places: Mapping[int, int],
        selected: Mapping[int, tuple[int, int, float]],
        packed: Mapping[int, bytes],
        missing: np.ndarray,
        mask: np.ndarray,
    ) -> None:
        """places: output frame -> its face. selected: output frame -> unit, partner and its share.
        packed: unit -> its mouth."""
        self._faces, self._places, self._selected = faces, places, selected
        self._packed, self.missing = packed, missing
        self._transplant = Transplanter(mask)

    @classmethod
    def prepare(
        cls,
        footage: Footage,
        source: np.ndarray,
        closed: np.ndarray,
        seconds: np.ndarray,
        jumps: np.ndarray,
        mask: np.ndarray,
    ) -> ClosedMouths:
        """Selects and reads the mouths: one or a few of each pause, 30 kB each.

        footage: the video, with a face. source, seconds, jumps: (N,), see GenerationRequest.
        closed: (N,) >= 0, share of the closed mouth in each output frame; 0: none is needed. mask:
        (R, R) float in [0, 1], where it is 0 a crop is unchanged; R: side of the crops.
        """
        faces = find_faces(footage)
        numbers = np.flatnonzero((closed > 0) & np.isin(source, faces.frames))
        places = faces.places(source[numbers])
        identity = link_identities(footage, faces.frames, faces.shot)
        chosen = _select(faces, identity, places, seconds[numbers], _begins(numbers, jumps))
        fits = chosen.unit >= 0
        missing = np.zeros(len(source), bool)
        missing[numbers[~fits]] = True
        used = np.union1d(chosen.unit[fits], chosen.partner[fits])
        crops = pack_crops(footage, faces.frames[used], len(mask))
        packed = dict(zip(used.tolist(), crops, strict=True))
        rows = zip(numbers, chosen.unit, chosen.partner, chosen.share, strict=True)
        selected = {int(n): (int(u), int(p), float(s)) for n, u, p, s in rows if u >= 0}
        shown = {int(n): int(place) for n, place in zip(numbers, places, strict=True)}
        return cls(faces, shown, selected, packed, missing, mask)

    def __call__(self, number: int, crop: torch.Tensor) -> torch.Tensor | None:
        """The crop with a closed mouth, not clamped; None: no closed mouth of the video fits.

        number: of the output frame. crop: (3, R, R) float32 RGB [-1, 1], the aligned crop of its
        frame as filmed, as in chunks.
        """
        if number not in self._selected:
            return None
        unit, partner, share = self._selected[number]
        place = self._places[number]
        mouths = [self._mouth(unit, place, 1 - share)]
        if share:
            mouths.append(self._mouth(partner, place, share))
        faces = self._faces
        return self._transplant(crop, faces.mouth[place], faces.rest[place], mouths)

    def _mouth(self, unit: int, place: int, share: float) -> Mouth:
        faces = self._faces
        placed = placement(faces.rest[place], faces.rest[unit])
        return Mouth(unpack(self._packed[unit]), faces.mouth[unit], placed, share)


def closed_faces(faces: Faces, identity: np.ndarray) -> np.ndarray:
    """(K,) bool: faces whose lips are closed and do not move. identity: (K,) int."""
    aperture = faces.lips[:, 0]
    steps = np.abs(np.diff(aperture))
    steps[np.diff(faces.run) != 0] = 0
    still = np.maximum(np.append(steps, 0), np.insert(steps, 0, 0)) < MOVING
    closed = still & (aperture <= SHUT)
    for number in np.unique(identity):
        own = identity == number
        closed[own] &= aperture[own] <= np.percentile(aperture[own], MOST_CLOSED)
    return closed


def _select(
    faces: Faces, identity: np.ndarray, places: np.ndarray, seconds: np.ndarray, begins: np.ndarray
) -> _Selected:
    """For K target frames. identity: of each face. places: (K,) their faces. begins: (K,) bool."""
    unit = np.full(len(places), NONE)
    closed = closed_faces(faces, identity)
    begins = begins | (np.diff(faces.shot[places], prepend=faces.shot[places][:1]) != 0)
    starts = np.flatnonzero(begins | (np.arange(len(places)) == 0))
    for first, end in zip(starts, np.append(starts[1:], len(places)), strict=True):
        whose = identity[places[first]]
        units = _spread(np.flatnonzero(closed & (identity == whose)))
        unit[first:end] = _steady_path(_distances(faces, places[first:end], units), units)
    return _dissolved(unit, seconds, begins)


def _distances(faces: Faces, places: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(K, U): distance of the poses of target frames and closed mouths; infinite: too far."""
    apart = faces.pose[places][:, None] - faces.pose[units][None]
    distance = np.linalg.norm(apart, axis=2)
    distance[distance > FAR] = np.inf
    return distance + OTHER_SHOT * (faces.shot[places][:, None] != faces.shot[units][None])


def _steady_path(distance: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(K,) int, of ``units``: each is kept as long as one fits all frames since it was chosen.

    distance: (K, U). NONE where none fits.
    """
    chosen = np.full(len(distance), NONE)
    first = 0
    while first < len(distance):
        total, end, best = np.zeros(len(units)), first, NONE
        while end < len(distance) and np.isfinite(total + distance[end]).any():
            total = total + distance[end]
            best, end = int(units[total.argmin()]), end + 1
        chosen[first:end] = best
        first = max(end, first + 1)
    return chosen


def _dissolved(unit: np.ndarray, seconds: np.ndarray, begins: np.ndarray) -> _Selected:
    """Units with a dissolve around each change in the middle of a shot."""
    partner, share = unit.copy(), np.zeros(len(unit))
    stretch = np.cumsum((np.diff(unit, prepend=unit[:1]) != 0) | begins)
    for n in np.flatnonzero(np.diff(stretch, prepend=stretch[:1]) & ~begins):
        if min(unit[n - 1], unit[n]) < 0:
            continue
        apart = np.abs(seconds - (seconds[n - 1] + seconds[n]) / 2)
        for side, other in ((stretch[n - 1], unit[n]), (stretch[n], unit[n - 1])):
            inside = (stretch == side) & (apart < DISSOLVE / 2)
            partner[inside], share[inside] = other, 0.5 - apart[inside] / DISSOLVE
    return _Selected(unit, partner, share)


def _begins(numbers: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(K,) bool: whether the frame does not continue the one before. numbers: (K,) rising."""
    return jumps[numbers] | (np.diff(numbers, prepend=numbers[:1]) > 1)


def _spread(places: np.ndarray) -> np.ndarray:
    """At most CANDIDATES of them, evenly spread."""
    if len(places) <= CANDIDATES:
        return places
    return places[np.linspace(0, len(places) - 1, CANDIDATES).round().astype(int)]
