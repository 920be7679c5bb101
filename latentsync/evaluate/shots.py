"""Pictures for the page: some moments of a result beside its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from latentsync.evaluate.pair import FramePair, SeenFace
from latentsync.evaluate.sampling import frames_of
from latentsync.face.landmarks import MOUTH
from latentsync.geometry import frame_scale
from latentsync.media.probe import VideoInfo, probed
from latentsync.media.seeking import frames_at
from latentsync.tone import sdr
from latentsync.types import Box, Frame

MOST = 24
HEIGHT = 720
SPREAD = 8
"""Of the moments, those that are there whatever the figures say."""
APART = 0.5
"""Seconds between two moments, at least: nearer ones are one."""
LIPS = np.array([190, 120])
"""Width and height of the mouth's box, aligned pixels: open lips are about 180 x 95."""
DECODED = 3000
"""Frames of a video up to which it is decoded once, rather than sought in."""
EVENLY = "evenly spread"
NAMED = 3
"""Figures that are named as the reason for one picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One moment of a result.

    seconds, index: of the output frame. before, after: (H, W, 3) uint8 RGB of one size, H at most
    HEIGHT; before None: there is no source frame. mouth: its box in them. why: why it is shown, in
    words.
    """

    seconds: float
    index: int
    before: np.ndarray | None
    after: np.ndarray
    mouth: Box
    why: str


@dataclass(frozen=True, slots=True)
class Moment:
    """An output frame that was measured, and where its mouth is.

    source: number and second of the frame behind it; None: there is none. mouth: in frame pixels.
    """

    index: int
    seconds: float
    source: tuple[int, float] | None
    mouth: Box

    @classmethod
    def of(cls, pair: FramePair, source: tuple[int, float] | None) -> Moment | None:
        """None: there is no face."""
        face = pair.face or pair.source_face
        if face is None:
            return None
        behind = None if pair.source is None else source
        return cls(pair.index, pair.seconds, behind, _mouth(face, pair.result.shape[:2]))


def chosen_moments(evaluation: Mapping[str, Any], *, most: int = MOST) -> list[tuple[float, str]]:
    """(second, why) of the moments worth a picture: the worst of each figure, then evenly spread
    ones; rising, at most so many."""
    chosen: dict[float, list[str]] = {}
    spread = min(SPREAD, most)
    for second, why in _worst(evaluation):
        near = next((one for one in chosen if abs(one - second) < APART), None)
        if near is not None:
            chosen[near].append(why)
        elif len(chosen) < most - spread:
            chosen[second] = [why]
    seconds = evaluation["result"]["seconds"]
    for number in range(spread):
        second = round(seconds * (number + 0.5) / spread, 3)
        if all(abs(one - second) >= APART for one in chosen):
            chosen[second] = [EVENLY]
    return [(second, _named(whys)) for second, whys in sorted(chosen.items())]


def _named(whys: Sequence[str]) -> str:
    more = len(whys) - NAMED
    return "; ".join([*whys[:NAMED], *([f"and {more} more"] if more > 0 else [])])


def _worst(evaluation: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
    """The worst moments of all figures, then their second worst, and so on."""
    figures = evaluation["figures"].values()
    for places in zip_longest(*(one["worst"] for one in figures)):
        for figure, place in zip(figures, places, strict=True):
            if place is not None and place[1] is not None:
                value = f"{place[1]:.3g} {figure['unit']}".strip()
                yield place[0], f"{figure['title']}: {value}"


def read_shots(
    result: Path | VideoInfo,
    source: Path | VideoInfo | None,
    moments: Sequence[tuple[float, str]],
    seen: Sequence[Moment],
) -> list[Shot]:
    """The measured frames that are nearest to these moments, with their mouths; each once.

    seen: of the pairs that were measured, rising. Long videos are sought in, short ones decoded.
    Raises MediaError.
    """
    if not seen:
        return []
    whys: dict[int, str] = {}
    for second, why in moments:
        place = int(np.abs(np.array([one.seconds for one in seen]) - second).argmin())
        whys[place] = f"{whys[place]}; {why}" if place in whys else why
    wanted = [seen[place] for place in sorted(whys)]
    after = _read(probed(result), [(one.index, one.seconds) for one in wanted])
    behind = [one.source for one in wanted if one.source is not None]
    before = {} if source is None else _read(probed(source), behind)
    shots = []
    for place, moment in zip(sorted(whys), wanted, strict=True):
        shown = after.get(moment.index)
        if shown is not None:
            was = None if moment.source is None else before.get(moment.source[0])
            shots.append(_shot(moment, was, shown, whys[place]))
    return shots


def _shot(moment: Moment, before: np.ndarray | None, after: np.ndarray, why: str) -> Shot:
    """before, after: whole frames."""
    factor = min(1.0, HEIGHT / after.shape[0])
    size = round(after.shape[1] * factor), round(after.shape[0] * factor)
    small = [
        None if one is None else cv2.resize(one, size, interpolation=cv2.INTER_AREA)
        for one in (before, after)
    ]
    assert small[1] is not None
    box = moment.mouth
    sides = (round(side * factor) for side in (box.x0, box.y0, box.x1, box.y1))
    mouth = Box(*sides).common(Box(0, 0, *size))
    return Shot(moment.seconds, moment.index, small[0], small[1], mouth, why)


def _read(info: VideoInfo, wanted: Sequence[tuple[int, float]]) -> dict[int, np.ndarray]:
    """wanted: numbers and seconds of frames -> those that were found, (H, W, 3) uint8 RGB."""
    numbers = dict(sorted(wanted))
    last = max(numbers, default=-1)
    if last < DECODED:
        found: dict[int, np.ndarray] = {}
        for frame in frames_of(info, lambda index, _second: index in numbers):
            if frame is not None:
                found[frame.index] = frame.pixels
            if last in found or not numbers:
                break
        return found
    sought = frames_at(info, list(numbers.values()))
    return {index: sdr(frame).pixels for index, frame in _found(numbers, sought)}


def _found(
    numbers: Mapping[int, float], frames: Iterator[Frame | None]
) -> Iterator[tuple[int, Frame]]:
    for index, frame in zip(numbers, frames, strict=True):
        if frame is not None:
            yield index, frame


def _mouth(face: SeenFace, size: tuple[int, int]) -> Box:
    """size: (height, width) of the frame."""
    half = LIPS / 2 * float(frame_scale(face.matrix))
    center = face.landmarks[MOUTH].mean(axis=0)
    low, high = np.floor(center - half).astype(int), np.ceil(center + half).astype(int)
    return Box(*low.tolist(), *high.tolist()).common(Box(0, 0, size[1], size[0]))
