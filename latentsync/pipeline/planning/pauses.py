"""What the mouth shows while the new speech pauses: as generated, as filmed, or closed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from latentsync.generate.replay.lips import lip_shape
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.speech.voice_activity import pauses

MODEL, ORIGINAL, CLOSED = "model", "original", "closed"
"""Values of generate.silence."""

SHORTEST = 0.3  # seconds of a pause, and of a stretch of still lips in it
RAMP = 0.12
"""Seconds in which one mouth becomes the other: three frames at 25 a second. They lie in the pause:
speech keeps its generated lips to its last sound, and after it lips take as long to close."""
OPENING = 0.04
"""Seconds before speech in which its generated mouth is shown wholly: lips open before they are
heard."""

AROUND = 0.12  # seconds before and after a frame in which its lips have to be still
STILL = 0.15  # greatest range of the aperture of still lips, as a share of the person's spread
SHUT = 0.35  # greatest aperture of shut lips, above the person's lowest, as a share of the spread
SPREAD = 0.05
"""Smallest spread of an aperture, in distances between the brows: that of lips that hardly move,
which are still. Measurements of still lips vary by 0.01."""


@dataclass(frozen=True, slots=True, eq=False)
class PauseMouths:
    """Shares for N output frames, (N,) float32 in [0, 1].

    closed: of a closed mouth in the generated one's place. shown: of that in the frame; the rest is
    the mouth as filmed.
    """

    shown: np.ndarray
    closed: np.ndarray


def with_pauses(plan: RenderPlan, silence: str, speech: np.ndarray) -> RenderPlan:
    """The plan with what its generated mouths show in pauses; see pause_mouths."""
    made = pause_mouths(
        silence,
        speech,
        plan.analysis,
        seconds=plan.seconds,
        source=plan.source,
        jumps=plan.jumps,
    )
    generated = plan.chunk >= 0
    return replace(
        plan,
        shown=np.where(generated, made.shown, 1).astype(np.float32),
        closed=np.where(generated, made.closed, 0).astype(np.float32),
    )


def pause_mouths(
    silence: str,
    speech: np.ndarray,
    analysis: SourceAnalysis,
    *,
    seconds: np.ndarray,
    source: np.ndarray,
    jumps: np.ndarray,
) -> PauseMouths:
    """silence: generate.silence. speech: (T,) bool, acoustic.detect_speech of the new speech.

    seconds: (N,) of the output frames, in the time of the speech. source: (N,) int, the frame of
    the video that each shows. jumps: (N,) bool, see RenderPlan.
    """
    quiet = pauses(speech, seconds, SHORTEST) & pauses(speech, seconds + OPENING, SHORTEST)
    if silence == MODEL:
        quiet = np.zeros(len(seconds), bool)
    still = np.zeros(len(seconds), bool)
    if silence == ORIGINAL:
        still = _lasting(quiet & still_lips(analysis)[source], seconds, jumps)
    moving = _whole_pauses(quiet, quiet & ~still, jumps)
    return PauseMouths(
        shown=1 - ramped(still, seconds, jumps), closed=ramped(moving, seconds, jumps)
    )


def still_lips(analysis: SourceAnalysis) -> np.ndarray:
    """(F,) bool: frames of the video whose lips are shut and do not move; False without a face."""
    still = np.zeros(len(analysis), bool)
    for frames in analysis.frames_by_track().values():
        points = np.stack([a.landmarks for i in frames if (a := analysis.alignments[i])])
        aperture = lip_shape(points)[:, 0]
        low, high = np.percentile(aperture, (5, 90))
        spread = max(high - low, SPREAD)
        highest, lowest = _extremes(aperture, analysis.pts_seconds[frames])
        still[frames] = (highest - lowest < STILL * spread) & (highest - low < SHUT * spread)
    return still


def ramped(flags: np.ndarray, seconds: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(N,) float32: 1 in runs of flags, falling to 0 in RAMP seconds at their ends, inside them.

    flags, jumps: (N,) bool; at a jump, and at the ends of the video, it falls at once. Frames
    beside a run are 0; the first one in it is as long after the last one before it as they are
    apart.
    """
    share = np.zeros(len(flags), np.float32)
    for first, end in _runs(flags, jumps):
        inside = seconds[first:end]
        since = until = np.full(end - first, np.inf)
        if first and not jumps[first]:
            since = inside - seconds[first - 1]
        if end < len(flags) and not jumps[end]:
            until = seconds[end] - inside
        step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
        share[first:end] = (np.minimum(since, until) / (RAMP + step)).clip(0, 1)
    return share


def _whole_pauses(quiet: np.ndarray, some: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(N,) bool: the pauses in which at least one frame is flagged, whole.

    So the generated mouth does not flash up where a filmed mouth turns into a closed one.
    """
    out = np.zeros(len(quiet), bool)
    for first, end in _runs(quiet, jumps):
        out[first:end] = some[first:end].any()
    return out


def _lasting(flags: np.ndarray, seconds: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """The runs of flags that last SHORTEST or more: mouths do not change in between."""
    out = flags.copy()
    for first, end in _runs(flags, jumps):
        out[first:end] = seconds[end - 1] - seconds[first] >= SHORTEST - AROUND
    return out


def _runs(flags: np.ndarray, jumps: np.ndarray) -> list[tuple[int, int]]:
    """[first, end) of each run of flags that no jump interrupts."""
    before = np.concatenate([[False], flags[:-1]])[: len(flags)]
    first = np.flatnonzero(flags & (~before | jumps))
    after = np.concatenate([~flags[1:] | jumps[1:], [True]])[: len(flags)]
    return list(zip(first.tolist(), (np.flatnonzero(flags & after) + 1).tolist(), strict=True))


def _extremes(values: np.ndarray, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K,) twice: greatest and smallest value in the AROUND seconds before and after each."""
    first = np.searchsorted(seconds, seconds - AROUND - 1e-6)
    end = np.searchsorted(seconds, seconds + AROUND + 1e-6)
    spans = [values[a:b] for a, b in zip(first, end, strict=True)]
    return np.array([one.max() for one in spans]), np.array([one.min() for one in spans])
