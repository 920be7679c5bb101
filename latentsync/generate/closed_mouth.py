"""A closed mouth for pauses of the new speech: the person's own, from the same video.

The frames of a pause show one closed mouth, transplanted into each; it changes, in a dissolve, only
where the head has moved too far from the pose that it was filmed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from latentsync.generate.base import Footage
from latentsync.generate.replay.database import pack_crops, unpack
from latentsync.generate.replay.head_pose import placement
from latentsync.generate.replay.inputs import Faces, find_faces
from latentsync.generate.replay.transplant import Mouth, Transplanter

SHUT = 0.06
"""Largest aperture of a closed mouth, in distances between the brows; see replay.lips.lip_shape."""
MOST_CLOSED = 10  # percentile of a person's aperture up to which a mouth may count as closed
MOVING = 0.5
"""Speed of the aperture, per second, from which lips move and a frame is blurred: at 25 frames a
second a change of 0.02 from frame to frame."""
FAR = 0.12
"""Distance of two head poses, see replay.lips.head_pose, up to which a mouth is selected: a turn by
about 20 degrees."""
TOO_FAR = 0.16  # distance up to which it is kept
OTHER_SHOT = 0.06  # distance of poses that a mouth of the same shot may be farther away
CANDIDATES = 400  # closed mouths of one person that are compared, evenly spread
DISSOLVE = 0.28  # seconds in which one closed mouth becomes another
RAMP = 0.16  # seconds in which the generated mouth becomes a closed one, where some frames lack it
NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class _Selected:
    """Closed mouths of K output frames. unit, partner: (K,) int, places in the faces; NONE: no
    mouth fits. share: (K,) of the partner."""

    unit: np.ndarray
    partner: np.ndarray
    share: np.ndarray

    def rows(self, which: np.ndarray) -> Iterator[tuple[int, int, float]]:
        """which: (K,) bool -> unit, partner and share of each of these frames."""
        columns = (one[which].tolist() for one in (self.unit, self.partner, self.share))
        return zip(*columns, strict=True)


class ClosedMouths:
    """The closed mouths of one video. Any number of threads may call it.

    share: (N,) float32 in [0, 1], of the closed mouth in each output frame: what was asked for, but
    0 where no closed mouth of the video fits the pose of the head, and rising beside.
    missing: (N,) bool, those frames.
    """

    def __init__(
        self,
        faces: Faces,
        places: Mapping[int, int],
        units: Mapping[int, tuple[int, int, float]],
        packed: Mapping[int, bytes],
        share: np.ndarray,
        missing: np.ndarray,
        mask: np.ndarray,
    ) -> None:
        """places: output frame -> its face. units: output frame -> unit, partner and its share.
        packed: unit -> its mouth."""
        self._faces, self._places, self._units, self._packed = faces, places, units, packed
        self.share, self.missing = share, missing
        self._transplant = Transplanter(mask)

    @classmethod
    def prepare(
        cls,
        footage: Footage,
        *,
        source: np.ndarray,
        seconds: np.ndarray,
        jumps: np.ndarray,
        closed: np.ndarray,
        mask: np.ndarray,
    ) -> ClosedMouths:
        """Selects and reads the mouths: one or a few of each pause, 30 kB each.

        footage: the video, with a face. source, seconds, jumps: (N,), see GenerationRequest.
        closed: (N,) float in [0, 1], share of the closed mouth that is wanted in each output frame;
        0: none. mask: (R, R) float in [0, 1], where it is 0 a crop is unchanged; R: its side.
        """
        faces = find_faces(footage)
        numbers = np.flatnonzero((closed > 0) & np.isin(source, faces.frames))
        places = faces.places(source[numbers])
        identity = footage.people()[faces.frames]
        begins = jumps[numbers] | (np.diff(numbers, prepend=numbers[:1]) > 1)
        closed_ones = closed_faces(footage, faces, identity)
        chosen = _select(faces, identity, closed_ones, places, seconds[numbers], begins)
        fits = chosen.unit >= 0
        used = np.union1d(chosen.unit[fits], chosen.partner[fits])
        crops = pack_crops(footage, faces.frames[used], len(mask))
        missing = np.zeros(len(source), bool)
        missing[numbers[~fits]] = True
        share = np.where(missing, 0, closed).astype(np.float32)
        share[numbers] *= _away(seconds[numbers], begins, ~fits)
        return cls(
            faces,
            dict(zip(numbers.tolist(), places.tolist(), strict=True)),
            dict(zip(numbers[fits].tolist(), chosen.rows(fits), strict=True)),
            dict(zip(used.tolist(), crops, strict=True)),
            share,
            missing,
            mask,
        )

    def __call__(self, number: int, crop: torch.Tensor) -> torch.Tensor | None:
        """The crop with a closed mouth, not clamped; None: no closed mouth of the video fits.

        number: of the output frame. crop: (3, R, R) float32 RGB [-1, 1], the aligned crop of its
        frame as filmed, as in chunks.
        """
        if number not in self._units:
            return None
        unit, partner, share = self._units[number]
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


def closed_faces(footage: Footage, faces: Faces, identity: np.ndarray) -> np.ndarray:
    """(K,) bool: faces with nothing in front of them whose lips are closed and do not move.

    faces: of the footage. identity: (K,) int.
    """
    aperture, clean = faces.lips[:, 0], ~footage.occluded[faces.frames]
    speed = np.abs(np.diff(aperture) / np.diff(footage.seconds[faces.frames]))
    speed[np.diff(faces.run) != 0] = 0
    still = np.maximum(np.append(speed, 0), np.insert(speed, 0, 0)) < MOVING
    closed = clean & still & (aperture <= SHUT)
    for number in np.unique(identity[clean]):
        own = clean & (identity == number)
        closed[own] &= aperture[own] <= np.percentile(aperture[own], MOST_CLOSED)
    return closed


def _select(
    faces: Faces,
    identity: np.ndarray,
    closed: np.ndarray,
    places: np.ndarray,
    seconds: np.ndarray,
    begins: np.ndarray,
) -> _Selected:
    """For K target frames. identity, closed: of each face. places: (K,) the faces of the target
    frames. begins: (K,) bool."""
    unit = np.full(len(places), NONE)
    if not len(places):
        return _Selected(unit, unit, np.zeros(0))
    begins = begins | (np.diff(faces.shot[places], prepend=faces.shot[places][:1]) != 0)
    starts = np.flatnonzero(begins | (np.arange(len(places)) == 0))
    for first, end in zip(starts, np.append(starts[1:], len(places)), strict=True):
        whose = identity[places[first]]
        units = _spread(np.flatnonzero(closed & (identity == whose)))
        unit[first:end] = _steady_path(_distances(faces, places[first:end], units), units)
    return _dissolved(unit, seconds, begins)


def _distances(faces: Faces, places: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(K, U): distance of the poses of target frames and closed mouths."""
    apart = faces.pose[places][:, None] - faces.pose[units][None]
    other = faces.shot[places][:, None] != faces.shot[units][None]
    return np.asarray(np.linalg.norm(apart, axis=2) + OTHER_SHOT * other)


def _steady_path(distance: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(K,) int, of ``units``: each is kept as long as one fits all frames since it was chosen.

    distance: (K, U). NONE where none fits.
    """
    chosen = np.full(len(distance), NONE)
    within = np.where(distance <= TOO_FAR, distance, np.inf)
    first = 0
    while first < len(distance):
        end, total = first, np.where(distance[first] <= FAR, 0.0, np.inf)
        while end < len(distance) and np.isfinite(total + within[end]).any():
            total = total + within[end]
            end += 1
        if end > first:
            chosen[first:end] = units[total.argmin()]
        first = max(end, first + 1)
    return chosen


def _dissolved(unit: np.ndarray, seconds: np.ndarray, begins: np.ndarray) -> _Selected:
    """Units with a dissolve around each change in the middle of a shot."""
    partner, share = unit.copy(), np.zeros(len(unit))
    stretch = np.cumsum((np.diff(unit, prepend=unit[:1]) != 0) | begins)
    for n in np.flatnonzero(np.diff(stretch, prepend=stretch[:1]) & ~begins):
        if min(unit[n - 1], unit[n]) < 0:
            continue
        middle = (seconds[n - 1] + seconds[n]) / 2
        first, end = np.searchsorted(seconds, (middle - DISSOLVE / 2, middle + DISSOLVE / 2))
        for one, other in ((n - 1, unit[n]), (n, unit[n - 1])):
            near = first + np.flatnonzero(stretch[first:end] == stretch[one])
            partner[near] = other
            share[near] = 0.5 - np.abs(seconds[near] - middle) / DISSOLVE
    return _Selected(unit, partner, share)


def _away(seconds: np.ndarray, begins: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """(K,) in [0, 1]: 1 from RAMP seconds away from frames of the same pause that lack a mouth."""
    share, pause = np.ones(len(seconds)), np.cumsum(begins)
    gone = np.flatnonzero(missing)
    if not len(gone):
        return share
    following = np.searchsorted(gone, np.arange(len(seconds)))
    for place in (following - 1, following):
        nearest = gone[place.clip(0, len(gone) - 1)]
        away = np.abs(seconds - seconds[nearest]) / RAMP
        share = np.where(pause == pause[nearest], np.minimum(share, away), share)
    return share


def _spread(places: np.ndarray) -> np.ndarray:
    """At most CANDIDATES of them, evenly spread."""
    if len(places) <= CANDIDATES:
        return places
    return places[np.linspace(0, len(places) - 1, CANDIDATES).round().astype(int)]
