"""The kept frames of a track, and which of them show the face without an occluder.

A track may begin with an occluder: then the frames that came first are not the face's looks. What
was there first and what came to stay are compared with each other; the one with colours that the
other has nowhere, or with a hand in it, is the occluder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latentsync.face.occlusion.appearance import light_of, planes_of
from latentsync.face.occlusion.looks import Compared, Looks
from latentsync.face.occlusion.observation import Observation
from latentsync.face.occlusion.watched import (
    ALIEN_ALERT,
    ALIEN_CALM,
    BEGINNING,
    FAR_ALERT,
    FAR_CALM,
    MOST_REFERENCES,
)

SETTLED, LEAST_LATER = 1.4, 3
"""Seconds from the beginning on; frames that show the face from then on."""
GAP = 0.35
"""Seconds without an occluder that do not end an episode."""
USUAL = 60
"""Percentile of the frames that are compared: some of them may be clear."""
LEAST_HANDS = 2
"""Frames with a hand."""


class Kept(NamedTuple):
    """frame: its index in the track. cells: (ROWS, COLUMNS, 3) uint8 RGB."""

    frame: int
    observation: Observation
    cells: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A kept frame of a track, beside the face's own looks."""

    frame: int
    observation: Observation
    compared: Compared

    @property
    def certain(self) -> bool:
        return self.compared.far >= FAR_ALERT or self.compared.alien >= ALIEN_ALERT

    @property
    def calm(self) -> bool:
        return self.compared.far < FAR_CALM and self.compared.alien < ALIEN_CALM


@dataclass(frozen=True, slots=True, eq=False)
class TrackSeen:
    """seen: the kept frames that are not known to show the face, in order. sparse: whether frames
    between two of them look like them: the track begins with an occluder."""

    seen: Sequence[Seen]
    sparse: bool


def kept_frames(observations: Sequence[Observation | None]) -> list[Kept]:
    return [
        Kept(i, one, cells)
        for i, one in enumerate(observations)
        if one is not None and (cells := one.cells) is not None
    ]


def track_seen(kept: Sequence[Kept], seconds: np.ndarray) -> TrackSeen:
    """seconds: (F,) presentation times of all frames of the track."""
    first = [one for one in kept if one.observation.look == 1]
    if not first:
        return TrackSeen([], sparse=False)
    early, settled_looks = _early(kept, first, seconds)
    if _is_occluder(early, settled_looks):
        return _against(kept, settled_looks)
    rest = [one for one in kept if one.observation.look != 1]
    seen = _compared(rest, first)
    stayed = _stayed(seen, seconds)
    if not stayed:
        return TrackSeen(seen, sparse=False)
    settled = stayed[len(stayed) // 2 :]  # at first the occluder is still leaving, or arriving
    came = {one.frame for one in settled}
    later = _thinned([one for one in rest if one.frame in came])
    before = [one for one in kept if one.frame < stayed[0].frame]
    if _is_occluder(before, later):
        return _against(kept, later)
    if _is_occluder(later, first) or not any(one.observation.look for one in later):
        return TrackSeen(seen, sparse=False)
    both = [*first, *later]
    others = [one for one in kept if one.frame not in {one.frame for one in both}]
    return TrackSeen(_compared(others, both), sparse=False)


def _against(kept: Sequence[Kept], shown: Sequence[Kept]) -> TrackSeen:
    """The track began with an occluder."""
    clear = {one.frame for one in shown}
    return TrackSeen(_compared([one for one in kept if one.frame not in clear], shown), sparse=True)


def _early(
    kept: Sequence[Kept], first: Sequence[Kept], seconds: np.ndarray
) -> tuple[list[Kept], list[Kept]]:
    """The frames of the beginning, and those of the later half that show the face."""
    begin = seconds[kept[0].frame]
    later = [one for one in first[len(first) // 2 :] if seconds[one.frame] - begin > SETTLED]
    early = [one for one in kept if seconds[one.frame] - begin <= BEGINNING]
    return early, later if len(later) >= LEAST_LATER else []


def _compared(frames: Sequence[Kept], shown: Sequence[Kept]) -> list[Seen]:
    """shown: frames without an occluder."""
    light = light_of(shown[-1].cells)
    looks = Looks()
    for one in shown:
        planes = planes_of(one.cells, light)
        looks.appearance.add(planes)
        looks.add_colors(planes, one.observation)
    return [
        Seen(frame, one, looks.compare(planes_of(cells, light), one))
        for frame, one, cells in frames
    ]


def _stayed(seen: Sequence[Seen], seconds: np.ndarray) -> list[Seen]:
    """The frames of what came and was there until the end of the track."""
    run: list[Seen] = []
    end = seconds[-1]
    for one in reversed(seen):
        if end - seconds[one.frame] > GAP:
            break
        if not one.calm:
            run.append(one)
            end = seconds[one.frame]
    return run[::-1]


def _is_occluder(frames: Sequence[Kept], shown: Sequence[Kept]) -> bool:
    """Whether something is in front of the face in these frames, rather than in the others."""
    if not frames or not shown:
        return False
    hands, no_hands = (sum(bool(one.observation.hands) for one in some) for some in (frames, shown))
    if hands >= LEAST_HANDS or no_hands >= LEAST_HANDS:
        return hands * len(shown) > no_hands * len(frames)
    forth = _alien(frames, shown)
    return forth >= ALIEN_ALERT and forth > 2 * _alien(shown, frames)


def _alien(frames: Sequence[Kept], shown: Sequence[Kept]) -> float:
    compared = _compared(_thinned(frames), _thinned(shown))
    return float(np.percentile([one.compared.alien for one in compared], USUAL))


def _thinned(frames: Sequence[Kept]) -> list[Kept]:
    """At most MOST_REFERENCES of them, evenly."""
    places = np.linspace(0, len(frames) - 1, min(len(frames), MOST_REFERENCES))
    return [frames[int(i)] for i in np.unique(places.round())]
