"""The report is readable, and lists the frames to check."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from latentsync.pipeline.compact_json import WIDTH, compact_json
from latentsync.pipeline.frame_report import WORST, flicker_report, plan_report
from latentsync.pipeline.outcome import Outcome
from latentsync.restoration.warping_error import Flicker
from tests.support.plans import alignment_of, analysis_of, plan_of

LONG = {
    "settings": {f"section {n}": {f"key {k}": "value" * 3 for k in range(5)} for n in range(12)},
    "per_frame": {"scale": [0.5] * 4500, "sharpness": [None, 0.25] * 2250},
    "spans": [[0.0, 1.5]] * 100,
    "warnings": ["a sentence of some length, with a figure in it"] * 4,
    "empty": [[], {}],
}


def test_an_array_of_numbers_is_one_line_however_long() -> None:
    lines = compact_json(LONG).splitlines()
    assert len(lines) < 120
    (scales,) = [line for line in lines if '"scale"' in line]
    assert scales.count("0.5") == 4500
    (spans,) = [line for line in lines if '"spans"' in line]
    assert spans.count("[0.0, 1.5]") == 100


def test_what_is_no_array_of_numbers_is_no_wider_than_a_screen() -> None:
    words = {name: value for name, value in LONG.items() if name not in ("per_frame", "spans")}
    assert max(map(len, compact_json(words).splitlines())) <= WIDTH


def test_nothing_is_lost_on_the_way() -> None:
    assert json.loads(compact_json(LONG)) == LONG


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        compact_json({"sharpness": float("nan")})


def test_the_worst_frames_are_the_blurriest_left_alone_and_the_most_changed() -> None:
    faces = [None if n == 3 else alignment_of(0) for n in range(30)]
    plan = plan_of(analysis_of(faces))
    figures = np.linspace(0, 0.29, 30, dtype=np.float32)  # the later, the blurrier
    figures[[3, 5]] = np.nan
    changed = np.arange(30) * (np.arange(30) >= 14)
    outcome = replace(Outcome.of(plan), largest=changed)
    worst = plan_report(replace(plan, blur=figures), outcome, 0)["worst_frames"]
    alone, most = worst["blurriest_left_alone"], worst["most_changed"]
    assert [one["frame"] for one in alone] == [13, 12, 11, 10, 9, 8, 7, 6, 4, 2]
    assert alone[0]["blur"] == pytest.approx(0.13, abs=1e-3)
    assert [one["frame"] for one in most] == list(range(29, 29 - WORST, -1))
    assert most[0] == {"frame": 29, "seconds": round(float(plan.seconds[29]), 3), "change": 29}


def test_the_flicker_of_the_video_is_the_mean_over_the_pairs_of_all_tracks() -> None:
    tracks = {0: Flicker(1, 0.4, 0.8, 0.1, 0.2), 3: Flicker(3, 0.4, 0.4, 0.1, 0.1)}
    report = flicker_report(tracks)
    assert report["flicker"] == {
        "pairs": 4,
        "e_warp_input": 0.2,
        "e_warp_output": 0.3,
        "ratio": 1.5,
        "contrast_ratio": 1.5,
    }
    assert [one["ratio"] for one in report["track_flicker"].values()] == [2.0, 1.0]
    assert list(report["track_flicker"]) == ["0", "3"]


def test_without_a_pair_every_figure_is_null() -> None:
    nothing = flicker_report({})
    assert nothing["track_flicker"] == {}
    assert set(nothing["flicker"].values()) == {0, None}
    json.dumps(nothing, allow_nan=False)
