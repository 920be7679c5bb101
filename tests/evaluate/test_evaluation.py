"""The evaluation: values, intervals, curves and worst moments of what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from latentsync.evaluate.evaluation import (
    MOST_POINTS,
    WORST,
    curve_of,
    worst_moments,
)
from latentsync.evaluate.figures import figures_of
from latentsync.evaluate.files import is_evaluation, write_evaluation
from latentsync.evaluate.statistics import Measured
from tests.evaluate.made_up import (
    GAIN,
    OFFSET,
    SECONDS,
    SOFTNESS,
    evaluated,
    measured,
    report,
)


def test_a_figure_has_its_value_within_its_interval_and_all_that_explains_it() -> None:
    found = evaluated(measured("softness", 0.5))["figures"]["softness"]
    assert found["low"] < found["value"] < found["high"]
    assert found["value"] == pytest.approx(0.5, abs=0.01)
    assert (found["unit"], found["better"], found["moments"]) == ("px", "lower", len(SECONDS))


def test_a_figure_that_was_not_measured_has_a_reason_and_no_value() -> None:
    nothing = Measured("gain", SECONDS, np.full((len(SECONDS), 1), np.nan))
    found = evaluated(
        measured("softness", 0.5), nothing, reasons={"offset": "the video has no audio"}
    )
    assert set(found["figures"]) == {"softness"}
    assert found["not_measured"] == {
        "offset": "the video has no audio",
        "gain": "too few frames of this video tell",
        "edge": "too few frames of this video tell",
    }


def test_moments_that_are_not_known_are_null_in_the_curve() -> None:
    values = np.where((SECONDS > 10) & (SECONDS < 20), np.nan, 1.0)
    found = evaluated(measured("softness", values))["figures"]["softness"]
    gap = [v for t, v in zip(found["seconds"], found["curve"], strict=True) if 11 < t < 19]
    assert gap and all(value is None for value in gap)
    json.dumps(found, allow_nan=False)


def test_a_curve_of_two_hours_has_at_most_so_many_points_and_misses_no_moment() -> None:
    seconds = np.arange(0, 7200, 0.5)
    values = np.zeros((len(seconds), 1))
    values[9001] = 100
    times, curve = curve_of(SOFTNESS, Measured("softness", seconds, values))
    assert len(times) == len(curve) <= MOST_POINTS
    assert curve.max() > 0


def test_the_worst_moments_do_not_overlap_and_follow_the_figure_s_direction() -> None:
    values = np.ones(len(SECONDS))
    values[(SECONDS > 10) & (SECONDS < 12)] = 3
    values[(SECONDS > 30) & (SECONDS < 32)] = -5
    for figure, where in ((SOFTNESS, 11), (GAIN, 31), (OFFSET, 31)):
        seconds, curve = curve_of(figure, measured(figure.name, values))
        found = seconds[worst_moments(figure, seconds, curve, window=1.0)]
        assert abs(found[0] - where) < 1
        assert len(found) == WORST
        assert np.diff(np.sort(found)).min() >= figure.window


def test_where_all_moments_are_alike_none_is_the_worst() -> None:
    found = evaluated(measured("softness", 1.0, noise=0.0))["figures"]["softness"]
    assert found["worst"] == []


def test_a_curve_goes_on_between_the_places_where_a_long_video_was_measured() -> None:
    seconds = np.concatenate([start + 0.04 * np.arange(8) for start in range(0, 600, 6)])
    rows = np.sin(seconds / 50)[:, None]
    found = evaluated(Measured("gain", seconds, rows))["figures"]["gain"]
    assert None not in found["curve"]
    assert {second for second, _ in found["worst"]} <= {round(float(s), 3) for s in seconds}


def test_the_job_s_report_says_what_happened_to_the_frames() -> None:
    spans = {"without_face": [[30.0, 30.44]], "turned_away": [], "occluded": [[5.0, 6.0]]}
    found = evaluated(measured("softness", 0.5), report=report(**spans))
    assert found["frames"]["skipped"] == 12
    assert found["frames"]["occluded"] == 26
    assert (found["cuts_seconds"], found["spans_seconds"]) == ([20.0], spans)
    assert found["job"]["restorer"] == "Detail" and found["job"]["generator"] is None
    assert found["job"]["licences"] == {"Detail": "Apache-2.0"}


def test_without_a_report_there_is_no_job_and_cuts_are_those_that_were_seen() -> None:
    found = evaluated(about={"cuts_seconds": [7.0]})
    assert found["job"] is None and found["cuts_seconds"] == [7.0]


def test_a_file_is_an_evaluation_only_if_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "result.evaluation.json"
    write_evaluation(evaluated(measured("softness", 0.5)), path)
    assert is_evaluation(path)
    for text in ('{"kind": "latentsync report"}', "[1]", "no JSON"):
        path.write_text(text, "utf-8")
        assert not is_evaluation(path)


def test_two_figures_of_one_name_are_refused() -> None:
    module = SimpleNamespace(FIGURES=(SOFTNESS,))
    assert figures_of((module,)) == {"softness": SOFTNESS}  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="softness"):
        figures_of((module, module))  # type: ignore[arg-type]
