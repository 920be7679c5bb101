"""Pairs of frames from a running job, whose frames and faces are known already."""

from __future__ import annotations

from collections.abc import Sequence

from latentsync.evaluate.pair import Measure
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stages.composite import Rendered


class PairsOfJob:
    """An observer of a job (Session.render(observers=[...])): hands pairs to the measures.

    Frames come in bursts of neighbours, see sampling. Of several speakers the first is measured.
    Attributes as PairsOfFiles: total, measured, without_source (None), cuts_seconds.
    """

    total: int
    measured: int
    without_source: str | None
    cuts_seconds: list[float]

    def __init__(self, measures: Sequence[Measure]) -> None:
        raise NotImplementedError

    def begin(self, plan: RenderPlan) -> None:
        """Called once the plan is made, before the first frame."""
        raise NotImplementedError

    def add(self, item: Rendered) -> None:
        """item: a finished frame, before the encode; in order."""
        raise NotImplementedError

    def close(self) -> None:
        """Waits for what is being measured. Raises what a measure raised."""
        raise NotImplementedError
