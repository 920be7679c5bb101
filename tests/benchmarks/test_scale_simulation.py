"""The simulation of many machines: no work is lost or made up, and losses only take time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale_model import Cluster, Design, Result, Simulation, Times
from benchmarks.scale_simulation import CHOICES, figures

VIDEOS = (300.0, 120.0, 61.0)
CALM = Cluster(machines=3, loss=0, spread=0, failure=0, stalls=0)
DESIGN = Design()
IDEAL = Times(start=0, segment=0, seek=0, lead_in=0)


def simulated(
    cluster: Cluster = CALM, times: Times = IDEAL, design: Design = DESIGN, seed: int = 0
) -> Result:
    return Simulation(times, cluster, design, VIDEOS, seed).run()


def needed(times: Times = IDEAL) -> float:
    return sum(VIDEOS) * times.rate * (times.plan + times.render + times.join)


def test_one_worker_that_nothing_disturbs_takes_as_long_as_the_work() -> None:
    result = simulated(replace(CALM, machines=1))
    assert result.total == pytest.approx(needed())
    assert (result.extra, result.lost, result.failed) == (0, 0, 0)


def test_every_frame_is_made_once_whatever_is_lost() -> None:
    rough = replace(CALM, loss=0.05, back=20, stalls=60, stall=40, failure=0.05)
    for seed in range(5):
        result = simulated(rough, design=Design(attempts=50), seed=seed)
        assert result.losses and result.lost and result.failed == 0
        assert result.frames == sum(VIDEOS) * IDEAL.rate
        assert result.useful == pytest.approx(needed())


def test_the_more_machines_are_lost_the_longer_it_takes() -> None:
    totals = [
        sum(simulated(replace(CALM, loss=hours), seed=seed).total for seed in range(5))
        for hours in (0, 0.5, 0.05)
    ]
    assert totals == sorted(totals) and totals[0] < totals[-1]


def test_shorter_segments_cost_more_beside_their_frames_and_lose_less() -> None:
    often = replace(CALM, loss=0.05, back=5)
    rows = [
        [simulated(often, Times(), Design(length=length), seed) for seed in range(8)]
        for length in (5, 40)
    ]
    (short, long) = [sum(one.extra for one in row) for row in rows]
    assert short > 5 * long
    (short, long) = [sum(one.lost / one.losses for one in row) for row in rows]
    assert short < long


def test_a_task_that_fails_too_often_fails_its_video() -> None:
    failing = replace(CALM, failure=0.9)
    assert simulated(failing, design=Design(attempts=1)).failed == len(VIDEOS)
    assert simulated(failing, design=Design(attempts=500)).failed == 0


def test_a_lease_shorter_than_a_stall_is_taken_from_the_living() -> None:
    stalling = replace(CALM, stalls=200, stall=8)
    assert simulated(stalling, design=Design(lease=3)).stolen
    assert not simulated(stalling, design=Design(lease=3000)).stolen


def test_more_workers_than_a_machine_can_run_share_it() -> None:
    one = simulated(replace(CALM, machines=1), replace(IDEAL, together=1))
    four = simulated(replace(CALM, machines=1), replace(IDEAL, together=1), Design(workers=4))
    assert four.total >= one.total * 0.99


def test_the_tables_have_a_row_for_each_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.scale_simulation.VIDEOS", VIDEOS)
    lines = list(figures(CHOICES["attempts"], Times(), seeds=1))
    assert len(lines) == 2 + len(CHOICES["attempts"].values)
    assert len({line.count("|") for line in lines}) == 1
