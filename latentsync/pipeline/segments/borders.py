"""Where a video is divided into segments."""

from __future__ import annotations

import itertools

import numpy as np

from latentsync.pipeline.planning.plan import RenderPlan

SECONDS = 20.0
"""Of a segment. A shorter one costs more: it begins with a key frame, and the frames before it that
the restoration depends on are made again. A longer one is more work to lose."""
SLACK = 0.25
"""Share of that by which a segment may be shorter or longer, so that it ends where a shot ends."""


def segment_borders(plan: RenderPlan, seconds: float = SECONDS) -> list[tuple[int, int]]:
    """Half-open ranges of output frames, all of them in order. None splits a chunk.

    A border is put between two shots if there is one near: a key frame is due there anyway.
    """
    allowed = plan.borders()
    shots = np.intersect1d(allowed, plan.shots)
    times = np.append(plan.seconds, plan.duration)
    borders, end = [0], len(plan)
    while times[end] - times[borders[-1]] > seconds * (1 + SLACK):
        wanted = times[borders[-1]] + seconds
        near = shots[np.abs(times[shots] - wanted) <= seconds * SLACK]
        later = allowed[allowed > borders[-1]]
        choice = near if len(near) else later
        borders.append(int(choice[np.abs(times[choice] - wanted).argmin()]))
    if borders[-1] < end:
        borders.append(end)
    return list(itertools.pairwise(borders))
