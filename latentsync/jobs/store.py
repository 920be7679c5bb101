"""The store of jobs: one SQLite file that any number of processes of one machine work on.

A job is one output. Its work is divided into tasks: the plan, the segments, the join. A worker
leases a task and renews the lease while it works; a worker that vanishes loses it, and another one
takes over. Times are seconds since the epoch, as the clock of the machine has them.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from latentsync.errors import LatentSyncError, MediaError
from latentsync.jobs.rows import (
    CANCELLED,
    DONE,
    FAILED,
    JOIN,
    LEASE,
    OPEN,
    PLAN,
    SCHEMA,
    SEGMENT,
    WAITING,
    JobRow,
    Task,
    job_of,
    key_of,
)

_BUSY = 20_000  # milliseconds to wait for another process that writes
_JOBS = (
    "select jobs.*, (select coalesce(sum(done), 0) from tasks where job = jobs.id and kind = ?)"
    " as done from jobs"
)


class TakenError(LatentSyncError):
    """Another job that is not finished writes the same output."""

    def __str__(self) -> str:
        return f"another job that is not finished has this output: {self.args[0]}"


class StoreError(MediaError):
    """The store cannot be read or written: a full disk, no permission, another process."""


class DamagedError(StoreError):
    """The store's file is no store, or broken: see jobs.places.open_store."""


class Store:
    """The jobs in one file; used by one thread, as a connection to SQLite is.

    now: the clock. Its methods, too, raise StoreError, and DamagedError where the file is damaged.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.path, self._now = path, now
        with self._as_store_error():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Two that make the file at once: the second one waits for the change of its mode.
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=_BUSY / 1000):
                self._connection = sqlite3.connect(path, timeout=_BUSY / 1000, isolation_level=None)
                self._connection.row_factory = sqlite3.Row
                for line in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
                    self._connection.execute(f"pragma {line}")
                self._connection.executescript(SCHEMA)
            self._file = path.stat().st_ino

    def close(self) -> None:
        self._connection.close()

    def check_there(self) -> None:
        """Raises StoreError where the file was deleted or replaced since it was opened."""
        try:
            there = self.path.stat().st_ino == self._file
        except OSError:
            there = False
        if not there:
            remedy = "run the same command again: it is made again from the jobs' folders"
            raise StoreError("the store of jobs was deleted meanwhile", self.path, remedy)

    def add(
        self, job_id: str, name: str, output: str, config: Mapping[str, Any], priority: int = 0
    ) -> JobRow:
        """A new job. Raises TakenError."""
        with self._transaction() as run:
            (last,) = run("select coalesce(max(number), 0) from jobs").fetchone()
            try:
                run(
                    "insert into jobs (id, number, name, output, config, priority, created, state)"
                    " values (?, ?, ?, ?, ?, ?, ?, ?)",
                    *(job_id, last + 1, name, output, json.dumps(config), priority),
                    *(self._now(), WAITING),
                )
            except sqlite3.IntegrityError as error:
                raise TakenError(output) from error
            run("insert into tasks (job, kind, number) values (?, ?, 0)", job_id, PLAN)
        return self.job(job_id)

    def job(self, job_id: str) -> JobRow:
        """By its id, or the beginning of it, or its number. Raises KeyError: none, or several."""
        if rows := self._all(f"{_JOBS} where jobs.id = ?", SEGMENT, job_id):
            return job_of(rows[0])
        jobs = self.jobs()
        found = [one for one in jobs if str(one.number) == job_id]
        found = found or [one for one in jobs if one.id.startswith(job_id)]
        if len(found) != 1:
            raise KeyError(job_id)
        return found[0]

    def jobs(self, states: Sequence[str] = ()) -> list[JobRow]:
        """In the order in which they were added. states: only these; empty: all."""
        rows = self._all(f"{_JOBS} order by number", SEGMENT)
        return [job_of(row) for row in rows if not states or row["state"] in states]

    def lease(self, owner: str, jobs: Sequence[str] | None = None) -> Task | None:
        """The next task that can be worked on, leased; None: there is none now.

        jobs: only of these; None: of all. Jobs of higher priority come first, then older ones; a
        job that has begun is finished first.
        """
        now, chosen = self._now(), json.dumps(list(jobs or []))
        with self._transaction() as run:
            row = run(
                "select tasks.* from tasks join jobs on jobs.id = tasks.job"
                " where jobs.state in ('waiting', 'running') and tasks.state != 'done'"
                " and tasks.not_before <= ?"
                # A lease from the future is older than a clock that was set back.
                " and (tasks.state = 'ready' or tasks.lease < ? or tasks.lease > ?)"
                " and (? or jobs.id in (select value from json_each(?)))"
                " order by jobs.priority desc, jobs.state != 'running', jobs.number,"
                " tasks.kind = 'join', tasks.number limit 1",
                *(now, now, now + 2 * LEASE, jobs is None, chosen),
            ).fetchone()
            if row is None:
                return None
            key = row["job"], row["kind"], row["number"]
            run(
                "update attempts set ended = ?, outcome = 'lost' where job = ? and kind = ?"
                " and number = ? and ended is null",
                *(now, *key),
            )
            run(
                "update tasks set state = 'leased', owner = ?, lease = ?, attempts = attempts + 1"
                " where job = ? and kind = ? and number = ?",
                *(owner, now + LEASE, *key),
            )
            run(
                "update jobs set state = 'running', started = coalesce(started, ?) where id = ?",
                *(now, row["job"]),
            )
            run(
                "insert into attempts (job, kind, number, owner, begun) values (?, ?, ?, ?, ?)",
                *(*key, owner, now),
            )
        attempt = row["attempts"] + 1
        return Task(self.job(row["job"]), row["kind"], row["number"], attempt, owner)

    def owners(self) -> list[str]:
        """Of the leases."""
        rows = self._all("select distinct owner from tasks where state = 'leased'")
        return [row["owner"] for row in rows if row["owner"]]

    def bury(self, owner: str) -> None:
        """The worker is known to be gone: its leases end."""
        with self._transaction() as run:
            run("update tasks set lease = 0 where owner = ? and state = 'leased'", owner)

    def renew(self, task: Task, owner: str, done: int | None = None) -> bool:
        """A sign of life. done: frames of the task so far. Returns whether the task is still the
        worker's: it is not where it was cancelled, or another one has taken over."""
        with self._transaction() as run:
            changed = run(
                "update tasks set lease = ?, done = coalesce(?, done) where job = ? and kind = ?"
                " and number = ? and owner = ? and state = 'leased' and exists (select 1 from jobs"
                " where id = tasks.job and state = 'running')",
                *(self._now() + LEASE, done, *key_of(task), owner),
            )
            return changed.rowcount == 1

    def planned(self, task: Task, segments: Sequence[int]) -> None:
        """The plan is made: segments, by their number of frames, can be worked on."""
        with self._transaction() as run:
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
                run(
                    "insert or replace into tasks (job, kind, number) values (?, ?, 0)",
                    task.job.id,
                    JOIN,
                )

    def finished(self, task: Task) -> None:
        """A segment or the join is done; with the last segment the join becomes a task, with the
        join the job is done."""
        with self._transaction() as run:
            self._finish(run, task, DONE)
            if task.kind == JOIN:
                run(
                    "update jobs set state = 'done', finished = ?, error = null where id = ?",
                    *(self._now(), task.job.id),
                )
                return
            (left,) = run(
                "select count(*) from tasks where job = ? and kind = ? and state != 'done'",
                *(task.job.id, SEGMENT),
            ).fetchone()
            if not left:
                run(
                    "insert or ignore into tasks (job, kind, number) values (?, ?, 0)",
                    task.job.id,
                    JOIN,
                )

    def failed(self, task: Task, error: str, *, again_in: float | None) -> bool:
        """again_in: seconds after which the task may be tried again; None: the job has failed.
        Returns False, and changes nothing, where the task was no longer the worker's."""
        with self._transaction() as run:
            if not _is_held(run, task):
                return False
            self._finish(run, task, FAILED, error)
            if again_in is None:
                run(
                    "update jobs set state = 'failed', error = ?, finished = ? where id = ?"
                    " and state = 'running'",
                    *(error, self._now(), task.job.id),
                )
            else:
                run(
                    "update tasks set state = 'ready', owner = null, not_before = ? where job = ?"
                    " and kind = ? and number = ?",
                    *(self._now() + again_in, *key_of(task)),
                )
        return True

    def released(self, task: Task) -> None:
        """The worker stops without having failed: the task is as before."""
        with self._transaction() as run:
            if not _is_held(run, task):
                return
            self._finish(run, task, "stopped")
            run(
                "update tasks set state = 'ready', owner = null, attempts = attempts - 1"
                " where job = ? and kind = ? and number = ?",
                *key_of(task),
            )

    def cancel(self, job_id: str) -> bool:
        """Returns whether the job was not finished yet."""
        return self._set_state(job_id, CANCELLED, OPEN)

    def retry(self, job_id: str) -> bool:
        """A job that has failed, or was cancelled, waits again; what is done of it stays. Returns
        whether it was one. Raises TakenError."""
        try:
            retried = self._set_state(job_id, WAITING, (FAILED, CANCELLED))
        except sqlite3.IntegrityError as error:
            raise TakenError(self.job(job_id).output) from error
        if retried:
            with self._transaction() as run:
                run(
                    "update tasks set state = 'ready', attempts = 0, not_before = 0, owner = null"
                    " where job = ? and state != 'done'",
                    job_id,
                )
        return retried

    def end(self, job_id: str, state: str, error: str | None) -> None:
        """A job that ended before this store was made."""
        with self._transaction() as run:
            run("update jobs set state = ?, error = ? where id = ?", state, error, job_id)

    def is_sound(self) -> bool:
        """Raises DamagedError where it cannot even be read."""
        (row,) = self._all("pragma quick_check(1)")
        return bool(row[0] == "ok")

    def start_over(self, job_id: str) -> None:
        """The plan has to be made again."""
        with self._transaction() as run:
            run("delete from tasks where job = ?", job_id)
            run("insert into tasks (job, kind, number) values (?, ?, 0)", job_id, PLAN)

    def forget(self, job_id: str) -> None:
        """Removes a job from the store; no file is touched."""
        with self._transaction() as run:
            run("delete from jobs where id = ?", job_id)

    def next_time(self, jobs: Sequence[str]) -> float | None:
        """Seconds until a task of these jobs may be leased that cannot be now; None: none."""
        now = self._now()
        (soonest,) = self._all(
            "select min(max(tasks.not_before, coalesce(case when tasks.state = 'leased'"
            " then tasks.lease end, 0))) as soonest from tasks join jobs on jobs.id = tasks.job"
            " where jobs.state in ('waiting', 'running') and tasks.state != 'done'"
            " and jobs.id in (select value from json_each(?))",
            json.dumps(list(jobs)),
        )
        return None if soonest["soonest"] is None else max(0.0, soonest["soonest"] - now)

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Every attempt at every task of a job, oldest first."""
        return [
            dict(r)
            for r in self._all("select * from attempts where job = ? order by begun", job_id)
        ]

    def tasks(self, job_id: str) -> list[dict[str, Any]]:
        return [
            dict(r)
            for r in self._all("select * from tasks where job = ? order by kind, number", job_id)
        ]

    def _set_state(self, job_id: str, state: str, before: Sequence[str]) -> bool:
        marks = ", ".join("?" * len(before))
        finished = None if state == WAITING else self._now()
        with self._transaction() as run:
            changed = run(
                f"update jobs set state = ?, error = null, finished = ? where id = ?"
                f" and state in ({marks})",
                *(state, finished, job_id, *before),
            )
            return changed.rowcount == 1

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
            *(self._now(), outcome, error, *key_of(task), task.owner),
        )

    def _all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._as_store_error(), closing(self._connection.execute(sql, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[Run]:
        connection = self._connection
        with self._as_store_error():
            connection.execute("begin immediate")
            try:
                yield lambda sql, *values: connection.execute(sql, values)
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:  # a full disk may have ended it
                    connection.execute("rollback")
                raise

    @contextmanager
    def _as_store_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.OperationalError, OSError, Timeout) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError("cannot use the store of jobs", self.path, reason) from error
        except sqlite3.DatabaseError as error:
            remedy = f"{error}; run the same command again: it is made again from the jobs' folders"
            raise DamagedError("the store of jobs is damaged", self.path, remedy) from error


Run = Callable[..., sqlite3.Cursor]


def _is_held(run: Run, task: Task) -> bool:
    """Whether the task is still leased to the worker that has it."""
    found = run(
        "select 1 from tasks where job = ? and kind = ? and number = ? and owner = ?"
        " and state = 'leased'",
        *(*key_of(task), task.owner),
    )
    return found.fetchone() is not None
