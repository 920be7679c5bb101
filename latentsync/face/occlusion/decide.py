"""After pass 1: which of what was seen in front of a track's face is an occluder, and its masks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from latentsync.face.occlusion.cells import (
    COLUMNS,
    CROP,
    ROWS,
    in_frame,
    moved,
    to_cells,
)
from latentsync.face.occlusion.drawn_hands import drawn_hand
from latentsync.face.occlusion.kept import (
    GAP,
    LEAST_HANDS,
    Seen,
    TrackSeen,
    kept_frames,
    track_seen,
)
from latentsync.face.occlusion.observation import Observation
from latentsync.face.occlusion.watched import (
    ABSORBED,
    ALIEN_ALERT,
)
from latentsync.frame_times import frame_duration

NEAR = 5
"""Code values from which on a cell beside an occluder belongs to it."""
LEAST_FRAMES = 3
"""Frames that show an occluder for certain: fewer are a blink of light."""
EARLY = 0.08
"""Seconds by which a mask grows before and after the occluder, and is held steady."""
CLOSING, GROWTH = 7, 3
"""Cells: gaps in an occluder that are filled, and how far its mask reaches beyond it."""
LEAST_CELLS = 12
"""Cells inside the face of a part of an occluder."""
WIDER = 9
"""Cells beyond the inside of the face's outline in which an occluder is filled."""
RIM = 1.2
"""Sigma of the mask's soft rim, in cells."""


def track_masks(
    observations: Sequence[Observation | None], matrices: np.ndarray, seconds: np.ndarray
) -> dict[int, np.ndarray]:
    """Frame of the track -> (140, 105) uint8, 255 where an occluder is; only frames with one.

    observations: of the F frames, None where the face was interpolated. matrices: (F, 2, 3) frame
    -> aligned crop, smoothed. seconds: (F,) presentation times.
    """
    areas: dict[int, np.ndarray] = {}
    track = track_seen(kept_frames(observations), seconds)
    for episode in _episodes(track, seconds):
        found: dict[int, np.ndarray] = {}
        for one in episode:
            area = _occluder(one)
            if area is not None:
                found[one.frame] = _in_steady_crop(area, one.observation, matrices[one.frame])
        areas |= _bridged(found, np.inf if track.sparse else GAP, seconds)
    return _steady(areas, seconds) if areas else {}


def shows_occluder(observations: Sequence[Observation | None], seconds: np.ndarray) -> bool:
    """Whether track_masks may return any mask. Frames of which nothing is kept may be left out, but
    for the last one."""
    return any(True for _ in _episodes(track_seen(kept_frames(observations), seconds), seconds))


def _bridged(
    areas: dict[int, np.ndarray], longest: float, seconds: np.ndarray
) -> dict[int, np.ndarray]:
    """With the union of both neighbours where frames between them were not kept."""
    bridged = dict(areas)
    for before, after in itertools.pairwise(sorted(areas)):
        if seconds[after] - seconds[before] <= longest:
            both = np.maximum(areas[before], areas[after])
            bridged |= dict.fromkeys(range(before + 1, after), both)
    return bridged


def _episodes(track: TrackSeen, seconds: np.ndarray) -> Iterator[list[Seen]]:
    """Runs of frames in which something is in front of the face."""
    run: list[Seen] = []
    last = -np.inf
    for one in track.seen:
        if seconds[one.frame] - last > GAP and not (track.sparse and not one.calm):
            if _is_occluder(run, seconds):
                yield run
            run = []
        if not one.calm or run:
            run.append(one)
        if not one.calm:
            last = seconds[one.frame]
    if _is_occluder(run, seconds):
        yield run


def _is_occluder(run: Sequence[Seen], seconds: np.ndarray) -> bool:
    if sum(one.certain for one in run) < LEAST_FRAMES:
        return False
    alien = sum(one.compared.alien >= ALIEN_ALERT for one in run) >= LEAST_FRAMES
    hands = sum(bool(one.observation.hands) for one in run) >= LEAST_HANDS
    passing = seconds[run[-1].frame] - seconds[run[0].frame] < ABSORBED
    return alien or hands or bool(passing)


def _occluder(one: Seen) -> np.ndarray | None:
    """(ROWS, COLUMNS) uint8, 1 where the occluder is, before it is grown; None: nowhere."""
    observation = one.observation
    to = to_cells(observation.matrix)
    visible = in_frame(observation.matrix, observation.frame_size)
    far = ((one.compared.distance > NEAR) & (visible > 0)).astype(np.uint8)
    for hand in observation.hands:
        far |= drawn_hand(moved(hand, to))
    kernel = _disk(CLOSING)
    closed = cv2.morphologyEx(np.pad(far, CLOSING), cv2.MORPH_CLOSE, kernel)
    closed = closed[CLOSING:-CLOSING, CLOSING:-CLOSING]
    _, labels = cv2.connectedComponents(closed)
    counts = np.bincount(labels[one.compared.sure], minlength=labels.max() + 1)
    counts[0] = 0
    parts = np.flatnonzero(counts >= LEAST_CELLS)
    if not len(parts):
        return None
    face = cv2.dilate(observation.face(), _disk(WIDER)) > 0
    area = np.zeros((ROWS, COLUMNS), np.uint8)
    for part in parts:
        shape = (labels == part).astype(np.uint8)
        area |= shape
        _fill_hull(area, shape & face)
    _fill_holes(area)
    return area


def _fill_holes(area: np.ndarray) -> None:
    outlines, _ = cv2.findContours(area, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(area, outlines, -1, 1, cv2.FILLED)


def _fill_hull(area: np.ndarray, shape: np.ndarray) -> None:
    """What has the face's own colours, a hand's back, shows at its edges only."""
    points = cv2.findNonZero(shape)
    if points is not None:
        cv2.fillConvexPoly(area, cv2.convexHull(points), 1)


def _in_steady_crop(area: np.ndarray, one: Observation, matrix: np.ndarray) -> np.ndarray:
    """(ROWS, COLUMNS) uint8, 255 where the area is, from the frame's own crop to the steady one."""
    back = np.vstack([to_cells(one.matrix), [0, 0, 1]])
    change = np.vstack([to_cells(matrix), [0, 0, 1]]) @ np.linalg.inv(back)
    flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    size = COLUMNS, ROWS
    moved_area = cv2.warpAffine(area * 255, change[:2], size, flags=flags, borderMode=border)
    return np.asarray(moved_area, np.uint8)


def _steady(areas: dict[int, np.ndarray], seconds: np.ndarray) -> dict[int, np.ndarray]:
    """Grown, the union of neighbouring frames, with a soft rim."""
    reach = max(1, round(EARLY / frame_duration(seconds)))
    grown = {i: cv2.dilate(area, _disk(GROWTH)) for i, area in areas.items()}
    masks = {}
    for i in sorted({j + k for j in grown for k in range(-reach, reach + 1)}):
        near = [grown[j] for j in range(i - reach, i + reach + 1) if j in grown]
        if 0 <= i < len(seconds):
            mask = np.maximum.reduce(near)
            soft = cv2.GaussianBlur(mask, (0, 0), RIM)
            masks[i] = np.asarray(np.maximum(mask, soft))[CROP]
    return {i: mask for i, mask in masks.items() if mask.any()}


def _disk(radius: int) -> np.ndarray:
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    )
