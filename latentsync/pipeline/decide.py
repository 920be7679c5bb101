"""How strongly each output frame is restored: as planned, or against the person's own mouth."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from latentsync.face.composite import composite
from latentsync.frame_times import frame_duration
from latentsync.pipeline.plan import FilmPlan
from latentsync.restore.sharpness import BANDS, SharpnessMeter, sharpness
from latentsync.schema import RestoreConfig
from latentsync.types import PatchedFrame

MEDIAN_FRAMES = 25
OWN_ON, OWN_OFF = 0.85, 0.92
"""Sharpness of a generated mouth against the same mouth as filmed: restored below the first, until
above the second."""


class Decision(Protocol):
    """Weights for the restoration, batch by batch, in order."""

    def weights(self, batch: Sequence[PatchedFrame]) -> np.ndarray:
        """(len(batch),) float in [0, 1]; 0: the frame stays as it is."""
        ...

    def energies(self, track: int) -> np.ndarray:
        """(K, 2, BANDS): what is known of the track's [mouth, rest of the face] by now."""
        ...


class AsPlanned:
    """Pass 1 has seen the very mouths that are to be restored."""

    def __init__(self, plan: FilmPlan) -> None:
        self._plan = plan

    def weights(self, batch: Sequence[PatchedFrame]) -> np.ndarray:
        return self._plan.weights[[item.frame.index for item in batch]]

    def energies(self, track: int) -> np.ndarray:
        return self._plan.tracks[track].energies


class AgainstOwnMouth:
    """Generated mouths, measured as they come, against the mouth that the person has in the film.

    Nothing is known of the frames to come, so a decision turns by a fade that begins with it.
    """

    def __init__(self, plan: FilmPlan, config: RestoreConfig, meter: SharpnessMeter) -> None:
        self._plan, self._config, self._meter = plan, config, meter
        self._track = -1
        self._seen: deque[np.ndarray] = deque(maxlen=MEDIAN_FRAMES)
        self._ratios: deque[float] = deque(maxlen=MEDIAN_FRAMES)
        self._on = False
        self._weight = 0.0
        line = plan.timeline
        step = frame_duration(plan.survey.pts_seconds if line is None else line.seconds)
        self._step = step / (config.fade_seconds + step)

    def weights(self, batch: Sequence[PatchedFrame]) -> np.ndarray:
        return np.array([self._next(item) for item in batch], np.float32)

    def energies(self, track: int) -> np.ndarray:
        if track != self._track or not self._seen:
            return np.empty((0, 2, BANDS), np.float32)
        return np.stack(self._seen)

    def _next(self, item: PatchedFrame) -> float:
        alignment = self._plan.alignment(item.frame.index)
        if alignment is None or not item.patches:
            return 0.0
        begins = alignment.track != self._track
        if begins:
            self._track = alignment.track
            self._seen.clear()
            self._ratios.clear()
        self._measure(item, alignment.matrix)
        self._on = self._wanted(item.frame.index, begins=begins)
        goal = float(self._on)
        moved = self._weight + np.clip(goal - self._weight, -self._step, self._step)
        self._weight = goal if begins else float(moved)
        return self._weight

    def _measure(self, item: PatchedFrame, matrix: np.ndarray) -> None:
        source = self._plan.source(item.frame.index)
        filmed = self._plan.survey.energies[source]
        drawn = self._meter(composite(item.frame, item.patches), matrix)
        if not np.isnan(drawn).any():
            self._seen.append(np.stack([drawn[0], filmed[1]]))
            self._ratios.append(float(sharpness(drawn) / sharpness(filmed)))

    def _wanted(self, index: int, *, begins: bool) -> bool:
        if self._config.when != "auto":
            return self._config.when == "always"
        scale = self._plan.scale[self._plan.source(index)]
        known = [ratio for ratio in self._ratios if not np.isnan(ratio)]
        if not known or scale < self._config.min_scale:
            return False
        figure = float(np.median(known))
        return figure < (OWN_OFF if self._on and not begins else OWN_ON)
