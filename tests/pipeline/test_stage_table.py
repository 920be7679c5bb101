"""The report lists the time of each stage, and the table shows the same."""

from __future__ import annotations

import pytest

from latentsync.pipeline.report import stage_table, stages
from latentsync.pipeline.stage_timer import Stage, StageTimer


def _timer() -> StageTimer:
    timer = StageTimer()
    for _ in range(50):
        timer.handed_on(Stage.RESTORE)(0.02)
        timer.for_input(Stage.ENCODE)(0.01)
    with timer.stage(Stage.ENCODE, frames=50):
        pass
    timer.handed_on(Stage.DECODE)(0.5)
    return timer


def test_stages_are_in_the_order_of_processing() -> None:
    assert list(stages(_timer().work)) == ["decode", "restore", "encode"]


def test_a_stage_reports_its_work_its_waits_and_its_speed() -> None:
    restore = stages(_timer().work)["restore"]
    assert restore["blocked"] == pytest.approx(1.0)
    assert restore["idle"] == 0
    assert restore["frames"] == 50
    assert restore["fps"] is None  # it was never busy
    assert stages(_timer().work)["encode"]["fps"] > 50


def test_the_table_has_a_line_for_each_stage_and_the_total() -> None:
    report = {
        "frames": {"total": 50},
        "seconds": {"total": 4.0},
        "stages": stages(_timer().work),
    }
    head, *lines, total = stage_table(report).splitlines()
    assert head.split() == ["stage", "busy", "idle", "blocked", "frames", "fps"]
    assert [line.split()[0] for line in lines] == ["decode", "restore", "encode"]
    assert lines[1].split() == ["restore", "0.0", "s", "0.0", "s", "1.0", "s", "50"]
    assert total.split() == ["total", "4.0", "s", "50", "12.5"]
    assert max(map(len, (head, *lines, total))) < 80
