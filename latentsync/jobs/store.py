"""The store of jobs: one SQLite file that any number of processes of one machine work on.

A job is one output. Its work is divided into tasks: the plan, the segments, the join and, where it
is asked for, judging the result. A worker leases a task and renews the lease while it works; a
worker that vanishes loses it, and another one takes over. Times are seconds since the epoch, as the
clock of the machine has them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from latentsync.jobs.database import Run
from latentsync.jobs.job_table import JobTable
from latentsync.jobs.rows import DONE, FAILED, JOIN, JUDGE, LEASE, SEGMENT, SHORT, Task, key_of
from latentsync.jobs.shown import Stage

MOST_LOST = 20
"""Attempts at one task after which its job fails: a task that ends every worker, as one that takes
all memory does, would be tried for ever."""


class Store(JobTable):
    """The jobs in one file, and who works on them; see database.Database."""

    def lease(self, owner: str, jobs: Sequence[str] | None = None) -> Task | None:
        """The next task that can be worked on, leased; None: there is none now.

        jobs: only of these; None: of all. Jobs of higher priority come first, then older ones; a
        job that has begun is finished first.
        """
        now, chosen = self.now(), json.dumps(list(jobs or []))
        with self.transaction() as run:
            row = run(
                "select tasks.* from tasks join jobs on jobs.id = tasks.job"
                " where jobs.state in ('waiting', 'running') and tasks.state != 'done'"
                " and tasks.not_before <= ?"
                # A lease from the future is older than a clock that was set back.
                " and (tasks.state = 'ready' or tasks.lease < ? or tasks.lease > ?)"
                " and (? or jobs.id in (select value from json_each(?)))"
                " order by jobs.priority desc, jobs.state != 'running', jobs.number,"
                " tasks.kind in ('join', 'judge'), tasks.number limit 1",
                *(now, now, now + 2 * LEASE, jobs is None, chosen),
            ).fetchone()
            if row is None:
                return None
            key = row["job"], row["kind"], row["number"]
            lost = row["attempts"] >= MOST_LOST
            run(
                "update attempts set ended = ?, outcome = 'lost' where job = ? and kind = ?"
                " and number = ? and ended is null",
                *(now, *key),
            )
            if lost:
                reason = f"{row['attempts']} workers ended without a word at its {row['kind']}"
                self._give_up(run, row["job"], row["kind"], f"{reason}: is there enough memory?")
            else:
                short = _was_short(run, row["job"])
                self._take(run, key, owner)
        if lost:
            return self.lease(owner, jobs)
        attempt = row["attempts"] + 1
        return Task(self.job(row["job"]), row["kind"], row["number"], attempt, owner, short)

    def _take(self, run: Run, key: tuple[str, str, int], owner: str) -> None:
        now = self.now()
        run(
            "update tasks set state = 'leased', owner = ?, lease = ?, attempts = attempts + 1,"
            " stage = null, total = 0"
            " where job = ? and kind = ? and number = ?",
            *(owner, now + LEASE, *key),
        )
        run(
            "update jobs set state = 'running', started = coalesce(started, ?),"
            " kept = max(kept, ?) where id = ?",
            *(now, key[1] != JUDGE, key[0]),
        )
        run(
            "insert into attempts (job, kind, number, owner, begun) values (?, ?, ?, ?, ?)",
            *(*key, owner, now),
        )

    def owners(self) -> list[str]:
        """Of the leases."""
        rows = self.all("select distinct owner from tasks where state = 'leased'")
        return [row["owner"] for row in rows if row["owner"]]

    def bury(self, owner: str) -> None:
        """The worker is known to be gone: its leases end."""
        with self.transaction() as run:
            run("update tasks set lease = 0 where owner = ? and state = 'leased'", owner)

    def renew(self, task: Task, owner: str, now: Stage | None = None) -> bool:
        """A sign of life. now: how far the task is. Returns whether the task is still the
        worker's: it is not where it was cancelled, or another one has taken over."""
        shown = (None, None, None) if now is None else (now.done, now.title, now.total)
        with self.transaction() as run:
            changed = run(
                "update tasks set lease = ?, done = coalesce(?, done), stage = coalesce(?, stage),"
                " total = coalesce(?, total) where job = ? and kind = ? and number = ?"
                " and owner = ? and state = 'leased' and exists (select 1 from jobs where"
                " id = tasks.job and state = 'running')",
                *(self.now() + LEASE, *shown, *key_of(task), owner),
            )
            return changed.rowcount == 1

    def planned(self, task: Task, segments: Sequence[int]) -> None:
        """The plan is made: segments, by their number of frames, can be worked on."""
        with self.transaction() as run:
            if not _is_held(run, task):
                return
            run("update jobs set frames = ? where id = ?", sum(segments), task.job.id)
            for number, frames in enumerate(segments):
                run(
                    "insert or replace into tasks (job, kind, number, frames) values (?, ?, ?, ?)",
                    *(task.job.id, SEGMENT, number, frames),
                )
            self._finish(run, task, DONE)
            if not segments:
                _add(run, task.job.id, JOIN)

    def finished(self, task: Task, *, judge: bool = False) -> None:
        """A task is done, but not the plan. With the last segment the join becomes a task; with
        the join the job is done or, with judge, judging it becomes a task, which ends it."""
        with self.transaction() as run:
            self._finish(run, task, DONE)
            if task.kind == JOIN and judge:
                _add(run, task.job.id, JUDGE)
                return
            if task.kind != SEGMENT:
                run(
                    "update jobs set state = 'done', finished = ?, error = null, note = null"
                    " where id = ?",
                    *(self.now(), task.job.id),
                )
                return
            (left,) = run(
                "select count(*) from tasks where job = ? and kind = ? and state != 'done'",
                *(task.job.id, SEGMENT),
            ).fetchone()
            if not left:
                _add(run, task.job.id, JOIN)

    def failed(
        self, task: Task, error: str, *, again_in: float | None, short: bool = False
    ) -> bool:
        """again_in: seconds after which the task may be tried again; None: the job has failed or,
        where only judging it has, is done with a note. short: whether it failed for want of memory,
        which later attempts get to know. Returns False, and changes nothing, where the task was no
        longer the worker's."""
        with self.transaction() as run:
            if not _is_held(run, task):
                return False
            self._finish(run, task, SHORT if short else FAILED, error)
            if again_in is None:
                self._give_up(run, task.job.id, task.kind, error)
            else:
                run(
                    "update tasks set state = 'ready', owner = null, not_before = ? where job = ?"
                    " and kind = ? and number = ?",
                    *(self.now() + again_in, *key_of(task)),
                )
        return True

    def released(self, task: Task) -> None:
        """The worker stops without having failed: the task is as before."""
        with self.transaction() as run:
            if not _is_held(run, task):
                return
            self._finish(run, task, "stopped")
            run(
                "update tasks set state = 'ready', owner = null, attempts = attempts - 1"
                " where job = ? and kind = ? and number = ?",
                *key_of(task),
            )

    def next_time(self, jobs: Sequence[str]) -> float | None:
        """Seconds until a task of these jobs may be leased that cannot be now; None: none."""
        now = self.now()
        (soonest,) = self.all(
            "select min(max(tasks.not_before, coalesce(case when tasks.state = 'leased'"
            " then tasks.lease end, 0))) as soonest from tasks join jobs on jobs.id = tasks.job"
            " where jobs.state in ('waiting', 'running') and tasks.state != 'done'"
            " and jobs.id in (select value from json_each(?))",
            json.dumps(list(jobs)),
        )
        return None if soonest["soonest"] is None else max(0.0, soonest["soonest"] - now)

    def _give_up(self, run: Run, job_id: str, kind: str, reason: str) -> None:
        """A video that could not be judged is finished all the same."""
        state, column = (DONE, "note") if kind == JUDGE else (FAILED, "error")
        run(
            f"update jobs set state = ?, {column} = ?, finished = ? where id = ?"
            " and state in ('waiting', 'running')",
            *(state, reason, self.now(), job_id),
        )

    def _finish(self, run: Run, task: Task, outcome: str, error: str | None = None) -> None:
        run(
            "update tasks set state = 'done', done = frames, owner = null where job = ?"
            " and kind = ? and number = ?"
            if outcome == DONE
            else "update tasks set owner = null where job = ? and kind = ? and number = ?",
            *key_of(task),
        )
        run(
            "update attempts set ended = ?, outcome = ?, error = ? where job = ? and kind = ?"
            " and number = ? and owner = ? and ended is null",
            *(self.now(), outcome, error, *key_of(task), task.owner),
        )


def _add(run: Run, job_id: str, kind: str) -> None:
    """A task that a job has one of."""
    run("insert or ignore into tasks (job, kind, number) values (?, ?, 0)", job_id, kind)


def _is_held(run: Run, task: Task) -> bool:
    """Whether the task is still leased to the worker that has it."""
    found = run(
        "select 1 from tasks where job = ? and kind = ? and number = ? and owner = ?"
        " and state = 'leased'",
        *(*key_of(task), task.owner),
    )
    return found.fetchone() is not None


def _was_short(run: Run, job_id: str) -> bool:
    """Whether an attempt at the job failed for want of memory."""
    found = run("select 1 from attempts where job = ? and outcome = ?", job_id, SHORT)
    return found.fetchone() is not None
