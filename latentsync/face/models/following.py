"""Follows faces or hands from frame to frame, by the rules of MediaPipe's graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latentsync.face.models.regions import Region, distinct


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a landmark network made of one region.

    points: (K, 2) float64 frame pixels. presence: 0..1, that a face or hand is there at all. It
    says nothing about covered parts. region: where to look in the next frame.
    """

    points: np.ndarray
    presence: float
    region: Region


class Follower:
    """State of one video: for one thread at a time."""

    def __init__(
        self,
        find: Callable[[np.ndarray], list[Region]],
        look: Callable[[np.ndarray, Region], Look],
        *,
        at_most: int,
        presence: float,
    ) -> None:
        """find: a frame -> regions, best first. at_most: finding stops at so many; a further one
        can still appear where a find and a followed region overlap by less than SAME_REGION.
        presence: less is not followed."""
        self._find, self._look = find, look
        self._at_most, self._presence = at_most, presence
        self.looks: list[Look] = []

    def __call__(self, frame: np.ndarray) -> list[Look]:
        """frame: (H, W, 3) uint8 RGB -> one look for each face or hand, new ones first."""
        followed = [look.region for look in self.looks]
        found = self._find(frame)[: self._at_most] if len(followed) < self._at_most else []
        looks = [self._look(frame, region) for region in distinct([*found, *followed])]
        self.looks = [look for look in looks if look.presence > self._presence]
        return self.looks

    def reset(self) -> None:
        """The next frame is unrelated to the last one."""
        self.looks = []
