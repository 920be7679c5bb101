"""What restoration did to the pixels, measured on the finished frames: for the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsync.frame_times import PTS_ROUNDING
from latentsync.geometry import frame_scale
from latentsync.pipeline.analysis import place_of
from latentsync.pipeline.observation import EDGES_EVERY
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stages.composite import Rendered
from latentsync.restoration.edge_blur import FIGURES, edge_figures
from latentsync.restoration.mouth_blur import EdgeVariances, softness
from latentsync.restoration.warping_error import Flicker
from latentsync.tone import sdr

if TYPE_CHECKING:
    from latentsync.pipeline.fitting import Restorers
    from latentsync.pipeline.lane import Lane


@dataclass(slots=True, eq=False)
class Outcome:
    """What happened to a speaker's mouth in a plan's N output frames.

    generated: (N,) bool, whether a generated mouth changed pixels. Of the restoration: largest,
    mean: (N,) int, float32, change of a frame [8-bit code values], the mean over the part that a
    patch can change; 0: no pixel changed. edges: (N, len(FIGURES)) float32 of the restored frames,
    a few a second; NaN: not measured.
    fit, strengths, flicker: by track, the result of fitting the restorer, the strength that
    restore.strength came to, and the flicker. reused: frames that reuse the restoration of an
    earlier one.
    """

    plan: RenderPlan
    generated: np.ndarray
    largest: np.ndarray
    mean: np.ndarray
    edges: np.ndarray
    fit: dict[str, Any] = field(default_factory=dict)
    strengths: dict[str, float] = field(default_factory=dict)
    flicker: dict[int, Flicker] = field(default_factory=dict)
    reused: int = 0
    _due: float = -np.inf

    @classmethod
    def of(cls, plan: RenderPlan) -> Outcome:
        """Nothing has been changed yet."""
        count = len(plan)
        edges = np.full((count, len(FIGURES)), np.nan, np.float32)
        nothing = np.zeros(count, bool)
        return cls(plan, nothing, np.zeros(count, int), np.zeros(count, np.float32), edges)

    def add(self, item: Rendered) -> None:
        """item: a finished frame; in order."""
        index = item.index
        track = int(self.plan.track[index])
        restored, generated = item.restored.get(track), item.generated.get(track)
        if generated is not None:
            self.generated[index] = generated.largest > 0
        if restored is None:
            return
        self.largest[index], self.mean[index] = restored.largest, restored.mean
        now = float(self.plan.seconds[index])
        if restored.largest and now >= self._due - PTS_ROUNDING:
            self._due = now + EDGES_EVERY
            face = self.plan.analysis.alignments[self.plan.source[index]]
            if face is not None:
                place = place_of(face.landmarks, self.plan.matrices[index])
                self.edges[index] = edge_figures(sdr(item.after).pixels, place)

    def note_restorers(self, lane: Lane, *, copied: bool = False) -> None:
        """After the last frame: what the restorers of that speaker did. copied: the frames were
        given up, as none of their pixels had changed."""
        restorers, stage = lane.restorers, lane.last_restoration
        if restorers is not None:
            self.fit |= {str(number): fit for number, fit in restorers.fit_results.items()}
            self.strengths |= _strengths(lane, restorers)
        if stage is not None and not copied:
            self.reused += stage.reused
            for track, flicker in stage.flicker.tracks.items():
                self.flicker[track] = self.flicker.get(track, Flicker()) + flicker

    def lips(self, track: int) -> float:
        """Sigma of the edges of the lips after restoration [frame pixels], median over the measured
        frames of a track; nan: none was measured."""
        frames = np.flatnonzero((self.plan.track == track) & (self.largest > 0))
        if not len(frames):
            return float("nan")
        matrices = self.plan.matrices[frames]
        variance = EdgeVariances.of(self.edges[frames], matrices).lips
        return float(np.sqrt(max(variance, 0.0)) * np.nanmedian(frame_scale(matrices)))

    def gain(self) -> str:
        """In one sentence, how much softer than expected the restored mouths were, and are."""
        softer = [
            (np.count_nonzero(self.largest[self.plan.track == number]), before, after, own)
            for number, before, after, own in self._softness()
        ]
        if not softer:
            return "nothing was restored" if not self.largest.any() else "the gain is not known"
        weights, *figures, owns = (np.array(column) for column in zip(*softer, strict=True))
        before, after = (round(100 * float(np.average(one, weights=weights))) for one in figures)
        against = "the person's own" if owns.all() else "the face"
        nothing = "" if before > 0 else ": there was nothing to gain"
        return f"the mouth was {_words(before)} than {against}, now {_words(after)}{nothing}"

    def _softness(self) -> Iterator[tuple[int, float, float, bool]]:
        """Number, before, after, and whether against the own mouth; of the tracks known."""
        for number, track in self.plan.tracks.items():
            blur, after = track.blur, self.lips(number)
            if not np.isnan([blur.lips, blur.expected, after]).any():
                yield (
                    number,
                    softness(blur.lips, blur.expected),
                    softness(after, blur.expected),
                    blur.own,
                )


def _strengths(lane: Lane, restorers: Restorers) -> dict[str, float]:
    """By track that was restored, the strength; see restore.strength."""
    configured = lane.shared.config.restore.strength
    found = {} if restorers.matched is None else restorers.matched.found
    full = 1.0 if configured == "auto" else float(configured)
    tracks = np.unique(lane.plan.track[lane.plan.strength > 0])
    return {str(track): round(found.get(track, full), 3) for track in tracks.tolist()}


def _words(percent: int) -> str:
    return f"{percent} % softer" if percent >= 0 else f"{-percent} % sharper"
