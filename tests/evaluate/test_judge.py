"""What a job's report says of a result, and what is measured by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.evaluate.figures import FIGURES
from latentsync.evaluate.job import results_of
from latentsync.evaluate.judge import BY_FRAME, at_same_moments, case_of, without_other_mouths
from latentsync.evaluate.measures.jitter import Jitter
from latentsync.evaluate.measures.outside import Outside
from latentsync.evaluate.pair import Measure
from latentsync.evaluate.pairs_of_job import PairsOfJob
from latentsync.evaluate.statistics import Measured
from tests.evaluate.made_up import report


def made(folder: Path) -> dict[str, Any]:
    return {
        **report(),
        "input": {"path": str(folder / "me.mp4")},
        "output": {"path": "elsewhere/out.mp4"},
    }


@pytest.fixture
def result(tmp_path: Path) -> Path:
    for name in ("me.mp4", "out.mp4"):
        (tmp_path / name).write_bytes(b"video")
    return tmp_path / "out.mp4"


@pytest.mark.parametrize("missing", [None, "cuts_seconds", "settings"])
def test_a_report_that_lacks_something_is_not_used(
    missing: str | None, result: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = made(result.parent)
    content.pop(missing or "", None)
    result.with_name("out.report.json").write_text(json.dumps(content), "utf-8")
    case = case_of(result)
    assert (case.report is None) == (missing is not None)
    assert case.source == (None if missing else result.parent / "me.mp4")
    assert (f"it has no {missing}" in caplog.text) == (missing is not None)


def test_a_report_in_memory_needs_no_file(result: Path) -> None:
    case = case_of(result, report=made(result.parent))
    assert case.source == result.parent / "me.mp4" and case.report is not None


def test_another_speaker_s_new_mouth_is_not_taken_for_a_fault_outside_of_the_first() -> None:
    measures: list[Measure] = [Outside(), Jitter()]
    assert without_other_mouths(measures, {"other_speakers": []}) == (measures, {})
    kept, unknown = without_other_mouths(measures, {"other_speakers": [{}]})
    assert kept == measures[1:] and set(unknown) == {"outside_psnr"}


def test_a_failing_measure_is_an_error_in_a_line_and_says_that_the_result_is_there() -> None:
    class Failed:
        def results(self) -> None:
            raise ZeroDivisionError("of a measure")

    with pytest.raises(MediaError, match=r"written, but .*out\.mp4; ZeroDivisionError: of a"):
        results_of(cast(PairsOfJob, Failed()), Path("out.mp4"))


@pytest.mark.parametrize(("rate", "compared"), [(25.0, True), (24.99, True), (30.0, False)])
def test_a_changed_frame_rate_is_not_taken_for_jitter(rate: float, *, compared: bool) -> None:
    made = [Measured(name, np.arange(3.0), np.ones((3, 1))) for name in (*BY_FRAME, "flicker")]
    kept, reasons = at_same_moments(made, rate, 25.0)
    assert set(BY_FRAME) <= set(FIGURES)
    assert [one.name for one in kept] == ([*BY_FRAME] if compared else []) + ["flicker"]
    assert bool(reasons) is not compared
