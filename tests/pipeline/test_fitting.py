"""Fitting a restorer: the result is logged, and kept for the report."""

from __future__ import annotations

import logging

import pytest
import torch

from latentsync.pipeline import fitting
from latentsync.pipeline.fitting import Restorers
from latentsync.restoration.personal.restorer import FitResult, PersonalizedRestorer
from latentsync.restoration.strength import MatchedStrengths
from tests.support.plans import alignment_of, analysis_of, plan_of


@pytest.mark.parametrize(
    ("poor", "level"), [(False, logging.INFO), (True, logging.WARNING)], ids=["good", "poor"]
)
def test_a_poor_fit_is_one_warning_with_its_reason(poor, level, monkeypatch, caplog) -> None:
    result = FitResult("Detail", "too unlike", poor_fit=poor)
    fit = PersonalizedRestorer(result)

    class Fitting:
        def __init__(self, *_: object) -> None: ...

        def training_mouths(self, tracks: object) -> dict[int, list[torch.Tensor]]:
            return {3: []}

        def fitted(self, *_: object) -> PersonalizedRestorer:
            return fit

    monkeypatch.setattr(fitting, "_PersonalFit", Fitting)
    restorers = Restorers(PersonalizedRestorer())
    with caplog.at_level(logging.INFO):
        restorers.fit([3], None, None, {}, None)  # type: ignore[arg-type]
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [
        (level, "track 3: too unlike")
    ]
    assert restorers.fit_results[3]["poor_fit"] is poor and restorers(3) is fit


def test_tracks_that_are_asked_for_later_get_their_own_samples() -> None:
    class Plain:
        name, size = "Plain", None

    asked = []

    def to_restore(tracks: list[int]) -> dict[int, list[torch.Tensor]]:
        asked.append(list(tracks))
        return {track: [torch.zeros(3, 4, 4)] for track in tracks}

    plan = plan_of(analysis_of([alignment_of(n // 5) for n in range(10)], cuts=[5]))
    restorers = Restorers(Plain(), MatchedStrengths())  # type: ignore[arg-type]
    for tracks in ([0], [0], [1, 0]):
        restorers.make_ready(tracks, plan, original=None, to_restore=to_restore, generator=None)  # type: ignore[arg-type]
    assert asked == [[0], [1]]
    assert sorted(restorers.matched.samples) == [0, 1]
