"""Many evaluations as a table."""

from __future__ import annotations

import csv
from pathlib import Path

from latentsync.evaluate.csv_table import csv_text, table
from tests.evaluate.made_up import TABLE, evaluated, measured, video


def test_a_row_is_a_video_and_the_last_one_averages_what_is_known() -> None:
    made = [
        evaluated(measured("softness", 1.0, noise=0), about={"result": video("a, b.mp4")}),
        evaluated(
            measured("softness", 3.0, noise=0),
            measured("gain", 5.0, noise=0),
            about={"result": video("c.mp4")},
        ),
    ]
    rows = list(csv.DictReader(csv_text(table(made, list(TABLE))).splitlines()))
    assert [row["video"] for row in rows] == ["a, b.mp4", "c.mp4", "average"]
    assert [row["softness"] for row in rows] == ["1", "3", "2"]
    assert [row["gain"] for row in rows] == ["", "5", "5"]
    assert [row["mouth"] for row in rows] == ["fair", "poor", ""]
    assert "offset" not in rows[0]


def test_no_evaluation_makes_no_row() -> None:
    assert table([], list(TABLE)) == []


def test_paths_are_those_of_the_results() -> None:
    assert table([evaluated(about={"result": video("x.mp4")})])[0]["video"] == str(Path("x.mp4"))
