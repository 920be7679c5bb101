"""The share of every patch that is shown in each output frame, by head pose and gaps.

Of a head that turns away, the face model no longer finds the mouth, and after a gap a face comes
back in the middle of a shot: a patch that starts or ends there at once is a visible jump.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from latentsync.face.pose import yaw_of
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.restoration.gate import runs, strengths

TURNED_AWAY = 55.0
"""Degrees of yaw beyond which no patch is shown: there the far corner of the mouth is at the
outline of the face, or behind it. Up to 40 degrees, the most that was measured (five videos), the
mesh of a mirrored frame is as near to the mesh of the frame as for a face that looks ahead: 3.2 to
3.9 aligned pixels at the corners, 3.2 to 5.6 at the lips."""
TURNED_BACK = 48.0
"""Degrees below which it is shown again."""
FADE_SECONDS = 0.2


def with_visibility(plan: RenderPlan) -> RenderPlan:
    """The plan with the share of every patch that is laid in each output frame."""
    analysis, source = plan.analysis, plan.source
    shots = np.cumsum(analysis.cuts)
    degrees = yaw_of(analysis.alignments)
    share = visible(degrees[source], plan.seconds, plan.track >= 0, plan.jumps, shots[source])
    return replace(plan, visible=share)


def visible(
    yaw: np.ndarray,
    seconds: np.ndarray,
    has_face: np.ndarray,
    jumps: np.ndarray,
    shot: np.ndarray,
    *,
    fade_seconds: float = FADE_SECONDS,
) -> np.ndarray:
    """(N,) float32 in [0, 1]: the share of every patch in each output frame; 0 without a face.

    yaw: (N,) degrees, see face.pose.yaw_of; nan: unknown, which hides nothing. seconds: (N,)
    float64, rising. has_face: (N,) bool. jumps: (N,) bool, True where the frame does not continue
    the one before. shot: (N,) int. Within a shot, a patch fades out over fade_seconds before it is
    hidden, and in after it is shown again; at cuts, jumps and the ends of the video it does not.
    The decisions are symmetric in time.
    """
    share = np.zeros(len(yaw), np.float32)
    begins = jumps | (np.diff(shot, prepend=shot[:1]) != 0)
    borders = np.unique(np.concatenate([[0], np.flatnonzero(begins), [len(yaw)]])).astype(int)
    for start, end in itertools.pairwise(borders):
        piece = slice(start, end)
        share[piece] = strengths(
            has_face[piece] & ~turned_away(yaw[piece], has_face[piece]),
            seconds=seconds[piece],
            fade_seconds=fade_seconds,
            fade_start=False,
            fade_end=False,
        )
    return share


def turned_away(yaw: np.ndarray, has_face: np.ndarray) -> np.ndarray:
    """(N,) bool: runs of frames beyond TURNED_BACK that hold one beyond TURNED_AWAY."""
    degrees = np.where(np.isnan(yaw), 0.0, np.abs(yaw))
    away = np.zeros(len(yaw), bool)
    for start, end in runs((degrees > TURNED_BACK) & has_face):
        away[start:end] = degrees[start:end].max() > TURNED_AWAY
    return away
