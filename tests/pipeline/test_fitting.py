"""Fitting a restorer: the result is logged, and kept for the report."""

from __future__ import annotations

import logging

import pytest
import torch

from latentsync.pipeline import fitting
from latentsync.pipeline.fitting import Restorers
from latentsync.restoration.personal.restorer import FitResult, PersonalizedRestorer


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
