"""What a worker does with its tasks, whatever the work is."""

from __future__ import annotations

import dataclasses
import errno
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from latentsync.errors import Cancelled, MediaError
from latentsync.jobs import failures, worker
from latentsync.jobs.database import StoreError
from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import CANCELLED, DONE, FAILED, RUNNING, Task
from latentsync.jobs.store import Store
from latentsync.jobs.worker import Worker, owner_here
from latentsync.settings.load import load_config
from tests.support.made_up_work import Work

FULL = OSError(errno.ENOSPC, "No space left on device")


def settings(*overrides: str) -> dict[str, Any]:
    return dataclasses.asdict(load_config(None, overrides))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    made = Work()
    monkeypatch.setattr(worker, "JobsHere", lambda *_settings: made)
    monkeypatch.setattr(worker, "judge_result", made.judge)
    monkeypatch.setattr(failures, "_BACK_OFF", (0.01, 0.01))
    monkeypatch.setattr(worker, "SIGN_OF_LIFE", 0.05)
    return made


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    """Two jobs."""
    made = JobFiles(tmp_path / "state")
    store = open_store(made)
    for name in ("a", "b"):
        made.write(store.add(name, f"{name}.mp4", str(tmp_path / f"{name}.mp4"), settings()))
    store.close()
    return made


def states(files: JobFiles) -> list[str]:
    return [job.state for job in Store(files.store).jobs()]


def once(kind: str, error: BaseException) -> Callable[[str, int], None]:
    """Raises it at the first task of that kind."""
    left = [error]

    def fail(now: str, _number: int) -> None:
        if now == kind and left:
            raise left.pop()

    return fail


def test_each_task_is_done_once_in_order(files: JobFiles, work: Work) -> None:
    Worker(files, "one").run()
    assert work.done == [("plan", 0), ("segment", 0), ("segment", 1), ("join", 0)] * 2
    assert states(files) == [DONE, DONE]


@pytest.mark.parametrize("kind", ["plan", "segment", "join"])
def test_a_full_disk_may_pass_and_bad_input_does_not(
    files: JobFiles, work: Work, kind: str
) -> None:
    work.meanwhile = once(kind, FULL)
    Worker(files, "one", jobs=["a"]).run()
    work.meanwhile = once(kind, MediaError("no video", "b.mp4", "record it again"))
    Worker(files, "one").run()
    store = Store(files.store)
    assert states(files) == [DONE, FAILED]
    outcomes = [one["outcome"] for one in store.attempts("a") if one["kind"] == kind]
    assert outcomes[:2] == [FAILED, DONE]
    assert store.job("b").error == "no video: b.mp4; record it again"
    assert "No space left" in (files.folder("a") / "log.txt").read_text()


def test_a_job_that_memory_was_short_for_is_opened_anew_with_that_known(
    files: JobFiles, work: Work
) -> None:
    work.meanwhile = once("segment", MemoryError())
    Worker(files, "one", jobs=["a"]).run()
    assert work.short == [False, True] and work.released == 1
    assert states(files)[0] == DONE


def test_a_cancelled_job_is_left_and_the_next_one_is_done(files: JobFiles, work: Work) -> None:
    def cancel(kind: str, number: int) -> None:
        if (kind, number) == ("segment", 1) and Store(files.store).cancel("a"):
            raise Cancelled

    work.meanwhile = cancel
    Worker(files, "one").run()
    assert states(files) == [CANCELLED, DONE]


def test_a_worker_that_lost_its_task_fails_nothing(files: JobFiles, work: Work) -> None:
    def lose(kind: str, _number: int) -> None:
        """Another worker takes over and is quicker, and this one's files are gone."""
        if kind != "join":
            return
        work.meanwhile = lambda _kind, _number: None
        other = Store(files.store)
        other.bury("one")
        task = other.lease("two")
        assert task is not None
        other.finished(task)
        raise MediaError("a segment is gone", "a.mp4", "make it again")

    work.meanwhile = lose
    Worker(files, "one").run()
    assert states(files) == [DONE, DONE]


def test_a_store_that_is_deleted_ends_the_work_and_is_made_again(
    files: JobFiles, work: Work
) -> None:
    def delete(kind: str, number: int) -> None:
        if (kind, number) == ("segment", 1):
            for path in files.root.glob("jobs.sqlite*"):
                path.unlink()

    work.meanwhile = delete
    with pytest.raises(StoreError, match="was deleted meanwhile"):
        Worker(files, "one").run()
    work.meanwhile = lambda _kind, _number: None
    assert [job.id for job in open_store(files).jobs()] == ["a", "b"]
    Worker(files, "one").run()
    assert states(files) == [DONE, DONE]


def test_ctrl_c_gives_the_task_back(files: JobFiles, work: Work) -> None:
    work.meanwhile = once("segment", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        Worker(files, "one").run()
    task = Store(files.store).lease("two")
    assert task is not None and (task.kind, task.number, task.attempt) == ("segment", 0, 1)


def test_a_worker_of_a_process_that_is_gone_is_waited_for_by_nobody(
    files: JobFiles, work: Work
) -> None:
    here = owner_here().split(":")[0]
    assert Store(files.store).lease(f"{here}:{2**22 + 1}:0") is not None
    Worker(files, "one").run(wait=False)
    assert states(files) == [DONE, DONE]


def test_a_sign_of_life_after_a_task_is_done_cancels_nothing(
    files: JobFiles, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open job would be cancelled, and with it the next task."""

    class Slow(Store):
        def planned(self, task: Task, segments: Sequence[int]) -> None:
            super().planned(task, segments)
            time.sleep(0.1)

        def finished(self, task: Task, *, judge: bool = False) -> None:
            super().finished(task, judge=judge)
            time.sleep(0.1)

    monkeypatch.setattr(worker, "Store", Slow)
    Worker(files, "one", sign_of_life=0.01).run()
    assert states(files) == [DONE, DONE] and work.cancelled == 0


def test_a_worker_removes_what_a_killed_one_left_of_a_finished_job(
    files: JobFiles, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    with monkeypatch.context() as killed:
        killed.setattr(worker.Worker, "_tidy", lambda _self: None)
        killed.setattr(Store, "kept_nothing", lambda _self, _id: None)
        Worker(files, "one").run()
    monkeypatch.setattr(worker, "remove_kept", lambda video: asked.append(video.name) or True)
    store = Store(files.store)
    a, _ = store.done_and_kept()
    store.add("again", "a.mp4", a.output, settings())  # what lies beside that output is its own now
    Worker(files, "two", jobs=["b"]).run()
    Worker(files, "three", jobs=["b"]).run()
    assert asked == ["b.mp4"]


def judged(files: JobFiles) -> None:
    """Adds a job whose result is to be judged."""
    store = open_store(files)
    target = str(files.root.parent / "c.mp4")
    files.write(store.add("c", "c.mp4", target, settings("output.evaluate=true"), 1))
    store.close()


def test_a_result_is_judged_when_it_is_complete(files: JobFiles, work: Work) -> None:
    judged(files)
    Worker(files, "one", jobs=["c"]).run()
    assert work.done[-2:] == [("join", 0), ("judge", 0)]
    row = Store(files.store).job("c")
    assert (row.state, row.note) == (DONE, None)


def test_a_job_that_cannot_be_judged_is_done_and_says_why(files: JobFiles, work: Work) -> None:
    judged(files)
    work.meanwhile = once("judge", MediaError("no face", "c.mp4", "look at it"))
    Worker(files, "one").run()
    assert states(files) == [DONE, DONE, DONE]
    assert Store(files.store).job("c").note == "no face: c.mp4; look at it"
    assert "no face" in (files.folder("c") / "log.txt").read_text()
    about = files.read("c")
    assert about is not None and about["state"] == DONE


def test_the_store_says_what_is_done_just_now(files: JobFiles, work: Work) -> None:
    seen: list[tuple[str | None, int, int]] = []

    def look(kind: str, number: int) -> None:
        end = time.monotonic() + 10
        while (row := Store(files.store).job("a")).stage != f"doing a {kind}":
            assert row.state == RUNNING and time.monotonic() < end
            time.sleep(0.01)
        seen.append((row.stage, row.stage_done, row.stage_total))

    work.meanwhile = look
    Worker(files, "one", jobs=["a"], sign_of_life=0.01).run()
    first, second = ("doing a segment", 1, 10), ("doing a segment", 6, 10)  # of all segments
    assert seen == [("doing a plan", 1, 5), first, second, ("doing a join", 1, 5)]
    assert Store(files.store).job("a").stage is None


def test_a_frame_waits_for_what_goes_before_it_and_the_lease_lasts(
    files: JobFiles, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentsync.jobs.store.LEASE", 0.5)
    free, waits = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        assert free.wait(10)

    first = Worker(files, "one", jobs=["a"], between_frames=wait, sign_of_life=0.05)
    thread = threading.Thread(target=first.run)
    thread.start()
    assert waits.wait(10)
    time.sleep(0.7)
    assert Store(files.store).lease("two", ["a"]) is None and work.done == []
    free.set()
    thread.join(10)
    assert states(files)[0] == DONE


def test_a_worker_that_is_to_finish_does_its_task_and_takes_no_other(
    files: JobFiles, work: Work
) -> None:
    one = Worker(files, "one")
    work.meanwhile = lambda kind, _number: one.stop(finish=True) if kind == "segment" else None
    one.run()
    assert work.done == [("plan", 0), ("segment", 0)]
    assert Store(files.store).job("a").done == 5


def test_a_worker_that_stops_ends_its_task_at_the_next_frame(files: JobFiles, work: Work) -> None:
    one = Worker(files, "one", between_frames=lambda: one.stop())
    one.run()
    task = Store(files.store).lease("two")
    assert work.done == [] and task is not None and task.attempt == 1
