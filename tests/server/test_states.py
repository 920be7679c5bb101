"""How far a job is: one number that rises over all stages, and the seconds that are left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.jobs.rows import CANCELLED, FAILED, JOIN, JUDGE, RUNNING, SEGMENT, WAITING, JobRow
from latentsync.jobs.shown import Stage
from latentsync.jobs.store import Store
from latentsync.server.jobs.states import Progressing, percent_of


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "jobs.sqlite")


def worked(store: Store, *, judged: bool = True) -> list[JobRow]:
    """The job, as the store shows it at every step of its work."""
    store.add("a", "a", "a.mp4", {})
    rows = [store.job("a")]

    def lease(*stages: Stage):
        task = store.lease("one")
        assert task is not None
        rows.append(store.job("a"))
        for stage in stages:
            store.renew(task, "one", stage)
            rows.append(store.job("a"))
        return task

    plan = lease(Stage("detecting faces", 30, 10), Stage("detecting faces", 30, 30), Stage("x", 9))
    store.planned(plan, [10, 20])
    rows.append(store.job("a"))
    store.finished(lease(Stage("restoring", 10, 5)))
    rows.append(store.job("a"))
    store.finished(lease(Stage("restoring", 20, 10)))
    store.finished(lease(Stage("joining", 30, 15)), judge=judged)
    if judged:
        rows.append(store.job("a"))
        store.finished(lease(Stage("judging", 60, 30), Stage("judging", 60, 3)))
    return [*rows, store.job("a")]


@pytest.mark.parametrize("judged", [True, False])
def test_progress_rises_from_0_to_100_over_all_stages(store: Store, judged: bool) -> None:
    progressing = Progressing()
    shown = [progressing.of(row, judged=judged)[0] for row in worked(store, judged=judged)]
    assert shown[0] == 0 and shown[-1] == 100
    assert shown == sorted(shown) and all(one < 100 for one in shown[:-1])
    assert len(set(shown)) >= 8


def test_each_stage_has_its_share(store: Store) -> None:
    worked(store)
    row = replace(store.job("a"), state=RUNNING, stage_done=1, stage_total=2)
    halves = [
        percent_of(replace(row, stage_kind=kind), judged=True) for kind in (SEGMENT, JOIN, JUDGE)
    ]
    assert halves == [54.5, 76.5, 89.0]
    whole = replace(row, stage_kind=JOIN, frames=0)
    assert percent_of(whole, judged=True) == 57.0
    assert percent_of(replace(row, stage_kind=JOIN, stage_done=2), judged=False) == 99.0


def test_what_is_left_is_known_when_some_of_it_was_seen(store: Store) -> None:
    store.add("a", "a", "a.mp4", {})
    clock = Clock()
    progressing = Progressing(clock)
    row = replace(store.job("a"), state=RUNNING, frames=100, stage_kind=SEGMENT, stage_total=100)
    assert progressing.of(row, judged=True) == (35.0, None)
    clock.seconds = 1.0
    assert progressing.of(replace(row, stage_done=50), judged=True) == (54.5, None)
    clock.seconds = 10.0
    assert progressing.of(replace(row, stage_done=50), judged=True) == (54.5, 23)
    waiting = replace(row, state=WAITING, stage_kind=None)
    assert progressing.of(waiting, judged=True) == (54.5, None)
    clock.seconds = 100.0  # the pause does not count
    assert progressing.of(replace(row, stage_done=50), judged=True) == (54.5, None)


@pytest.mark.parametrize("state", [FAILED, CANCELLED])
def test_a_job_that_ended_early_keeps_its_progress_until_it_is_tried_again(
    store: Store, state: str
) -> None:
    store.add("a", "a", "a.mp4", {})
    progressing = Progressing()
    row = replace(store.job("a"), state=RUNNING, frames=100, stage_kind=JUDGE, stage_total=0)
    assert progressing.of(row, judged=True)[0] == 79
    ended = replace(row, state=state, stage_kind=None)
    assert progressing.of(ended, judged=True) == (79, None)
    again = replace(ended, state=WAITING)
    assert progressing.of(again, judged=True) == (35, None)
