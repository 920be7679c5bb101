"""Workers share the jobs of a store: each task is done once, and none is lost with a worker."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from latentsync.jobs.database import DamagedError, StoreError
from latentsync.jobs.job_table import TakenError
from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import (
    CANCELLED,
    DONE,
    FAILED,
    JOIN,
    JUDGE,
    LEASE,
    NOT_JUDGED,
    PLAN,
    RUNNING,
    SCHEMA,
    SEGMENT,
    WAITING,
)
from latentsync.jobs.shown import Stage
from latentsync.jobs.store import MOST_LOST, Store


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return Store(tmp_path / "jobs.sqlite", now=clock)


def add(store: Store, name: str = "a", **more) -> str:
    return store.add(f"id-{name}", name, f"{name}.mp4", {"input": name}, **more).id


def lease(store: Store, owner: str = "one"):
    task = store.lease(owner)
    assert task is not None
    return task


def planned(store: Store, *frames: int) -> None:
    store.planned(lease(store), frames)


def test_a_job_is_planned_then_its_segments_then_joined(store: Store) -> None:
    job = add(store)
    plan = lease(store)
    assert (plan.kind, plan.number, plan.attempt) == (PLAN, 0, 1)
    assert store.lease("two") is None
    store.planned(plan, [10, 20])
    one, two = lease(store), lease(store, "two")
    assert [(t.kind, t.number) for t in (one, two)] == [(SEGMENT, 0), (SEGMENT, 1)]
    store.finished(two)
    assert store.job(job).done == 20 and store.lease("two") is None
    store.finished(one)
    join = lease(store)
    assert join.kind == JOIN
    store.finished(join)
    row = store.job(job)
    assert (row.state, row.frames, row.done) == (DONE, 30, 30)
    assert store.lease("one") is None


def test_a_worker_that_vanished_loses_its_task(store: Store, clock: Clock) -> None:
    add(store)
    task = lease(store)
    clock.seconds += LEASE - 1
    assert store.lease("two") is None
    assert store.renew(task, "one")
    clock.seconds += LEASE + 1
    again = lease(store, "two")
    assert (again.kind, again.attempt) == (PLAN, 2)
    assert not store.renew(task, "one")
    assert [a["outcome"] for a in store.attempts(task.job.id)] == ["lost", None]


def test_only_after_an_attempt_without_enough_memory_was_memory_short(
    store: Store, clock: Clock
) -> None:
    add(store)
    assert not lease(store).short
    clock.seconds += LEASE + 1  # its worker was killed
    task = lease(store, "two")
    assert (task.attempt, task.short) == (2, False)
    store.failed(task, "no space left", again_in=0)
    task = lease(store)
    assert (task.attempt, task.short) == (3, False)
    store.failed(task, "CUDA out of memory", again_in=0, short=True)
    task = lease(store)
    assert task.short
    store.planned(task, [10])
    assert lease(store).short  # its other tasks want as much


def test_a_clock_that_is_set_back_holds_nothing_up(store: Store, clock: Clock) -> None:
    add(store)
    lease(store)
    clock.seconds -= 86_400
    assert store.lease("two") is not None


def test_what_may_pass_is_tried_again_later(store: Store, clock: Clock) -> None:
    job = add(store)
    store.failed(lease(store), "disk full", again_in=60)
    assert store.lease("one") is None
    assert store.next_time([job]) == 60
    clock.seconds += 61
    assert lease(store).attempt == 2


def test_one_job_s_failure_stops_no_other_and_a_retry_keeps_what_is_done(store: Store) -> None:
    bad, good = add(store, "bad"), add(store, "good")
    planned(store, 10, 10)
    store.finished(lease(store))
    store.failed(lease(store), "no face", again_in=None)
    assert store.job(bad).state == FAILED and store.job(bad).error == "no face"
    assert lease(store).job.id == good
    assert store.retry(bad)
    assert (lease(store).number, store.job(bad).done) == (1, 10)


def test_higher_priority_comes_first_then_what_has_begun_then_the_older(store: Store) -> None:
    add(store, "first")
    second = add(store, "second")
    planned(store, 10, 10)
    urgent = add(store, "urgent", priority=5)
    assert lease(store).job.id == urgent
    assert [lease(store).job.id for _ in range(3)] == ["id-first", "id-first", second]


def test_a_cancelled_job_stops_its_worker(store: Store) -> None:
    job = add(store)
    task = lease(store)
    assert store.cancel(job)
    assert not store.renew(task, "one")
    assert store.lease("two") is None and store.job(job).state == CANCELLED
    assert not store.cancel(job)


def test_a_job_that_is_cancelled_while_it_is_judged_is_done_all_the_same(store: Store) -> None:
    job = add(store)
    planned(store)
    store.finished(lease(store), judge=True)
    task = lease(store)
    assert task.kind == JUDGE and store.cancel(job)
    assert not store.renew(task, "one") and store.lease("two") is None
    assert (store.job(job).state, store.job(job).note) == (DONE, NOT_JUDGED)
    assert not store.retry(job)


def test_two_unfinished_jobs_cannot_have_one_output(store: Store) -> None:
    job = add(store)
    with pytest.raises(TakenError):
        store.add("other", "b", "a.mp4", {})
    store.cancel(job)
    store.add("other", "b", "a.mp4", {})
    with pytest.raises(TakenError):
        store.retry(job)


def test_jobs_are_looked_at_together_and_their_settings_read_when_asked_for(store: Store) -> None:
    first, second, third = (add(store, name) for name in "abc")
    assert [one.id for one in store.some([third, first, "none"])] == [first, third]
    store.planned(lease(store), [10, 20])
    store.finished(lease(store))
    (row,) = store.some([first])
    assert (row.frames, row.done, row.config) == (30, 10, {"input": "a"})
    assert store.some([second])[0].state == WAITING


def test_a_job_is_found_by_number_id_or_its_beginning(store: Store) -> None:
    job = add(store)
    assert {store.job(key).id for key in ("1", job, job[:4])} == {job}
    add(store, "b")
    with pytest.raises(KeyError):
        store.job("id-")


def test_a_worker_that_stops_gives_its_task_back(store: Store) -> None:
    add(store)
    store.released(lease(store))
    assert lease(store, "two").attempt == 1


def test_workers_at_once_never_get_the_same_task(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    first = Store(path)
    add(first)
    first.planned(lease(first), [1] * 40)
    taken: list[int] = []

    def work() -> None:
        own = Store(path)
        while (task := own.lease(threading.current_thread().name)) is not None:
            taken.append(task.number)
            own.finished(task)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(taken) == [0, *range(40)]  # the join is number 0
    assert first.job("1").state == DONE and WAITING not in {t["state"] for t in first.tasks("id-a")}


def test_a_worker_that_lost_its_task_changes_nothing(store: Store, clock: Clock) -> None:
    job = add(store)
    lost = lease(store)
    clock.seconds += LEASE + 1
    kept = lease(store, "two")
    assert not store.failed(lost, "too late", again_in=None)
    store.released(lost)
    store.planned(lost, [1, 2, 3])
    assert store.renew(kept, "two")
    assert [a["outcome"] for a in store.attempts(job)] == ["lost", None]
    store.planned(kept, [10])
    assert store.job(job).frames == 10


def test_another_process_that_holds_the_store_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentsync.jobs.database._BUSY", 50)
    first = Store(tmp_path / "jobs.sqlite")
    add(first)
    with first.transaction(), pytest.raises(StoreError, match="database is locked") as caught:
        add(open_store(JobFiles(tmp_path)), "b")
    assert not isinstance(caught.value, DamagedError)
    assert [job.name for job in open_store(JobFiles(tmp_path)).jobs()] == ["a"]


def test_a_task_that_ends_every_worker_is_given_up(store: Store, clock: Clock) -> None:
    killer, other = add(store, "killer"), add(store, "other")
    for _ in range(MOST_LOST):
        assert lease(store).job.id == killer
        clock.seconds += LEASE + 1
    assert lease(store).job.id == other
    row = store.job(killer)
    assert row.state == FAILED and "20 workers ended without a word at its plan" in str(row.error)


def test_a_store_of_an_earlier_version_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    old = sqlite3.connect(path)
    old.executescript(SCHEMA)
    old.execute(
        "insert into jobs values ('id-a', 1, 'a', 'a.mp4', '{}', 0, 5.0, 'waiting', null, 0, null,"
        " null)"
    )
    old.execute("insert into tasks (job, kind, number) values ('id-a', 'plan', 0)")
    old.commit()
    old.close()
    store = Store(path)
    task = lease(store)
    assert store.renew(task, "one", Stage("detecting faces", 100, 7))
    row = store.job("id-a")
    assert (row.stage, row.stage_done, row.stage_total) == ("detecting faces", 7, 100)
    assert row.note is None and Store(path).job("id-a") == row


def test_jobs_that_wait_are_listed_in_the_order_in_which_they_come(store: Store) -> None:
    add(store, "begun")
    lease(store)
    late, urgent, later = add(store, "late"), add(store, "urgent", priority=5), add(store, "later")
    assert store.queue() == [urgent, late, later]


def test_a_task_that_only_judges_ends_no_job_badly(store: Store, clock: Clock) -> None:
    job = add(store)
    planned(store)
    store.finished(lease(store), judge=True)
    assert store.job(job).state == RUNNING
    for _ in range(MOST_LOST):
        assert lease(store).kind == JUDGE
        clock.seconds += LEASE + 1
    assert store.lease("one") is None
    row = store.job(job)
    assert row.state == DONE and "ended without a word at its judge" in str(row.note)
