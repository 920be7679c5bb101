"""The jobs of a store: added, listed, cancelled, tried again, forgotten."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from latentsync.errors import LatentSyncError
from latentsync.jobs.database import Database
from latentsync.jobs.rows import (
    CANCELLED,
    DONE,
    FAILED,
    JUDGE,
    NOT_JUDGED,
    OPEN,
    PLAN,
    SEGMENT,
    WAITING,
    JobRow,
    job_of,
)

_JOBS = (
    "select jobs.*, (select coalesce(sum(done), 0) from tasks where job = jobs.id and kind = ?)"
    " as done, now.stage, now.kind as stage_kind, coalesce(now.done, 0) as stage_done,"
    " coalesce(now.total, 0) as stage_total from jobs left join tasks as now on now.rowid ="
    " (select rowid from tasks where job = jobs.id and state = 'leased' and jobs.state = 'running'"
    " order by lease desc limit 1)"
)


class TakenError(LatentSyncError):
    """Another job that is not finished writes the same output."""

    def __str__(self) -> str:
        return f"another job that is not finished has this output: {self.args[0]}"


class JobTable(Database):
    """The jobs, without what workers do with them."""

    def add(
        self, job_id: str, name: str, output: str, config: Mapping[str, Any], priority: int = 0
    ) -> JobRow:
        """A new job. Raises TakenError."""
        with self.transaction() as run:
            (last,) = run("select coalesce(max(number), 0) from jobs").fetchone()
            try:
                run(
                    "insert into jobs (id, number, name, output, config, priority, created, state)"
                    " values (?, ?, ?, ?, ?, ?, ?, ?)",
                    *(job_id, last + 1, name, output, json.dumps(config), priority),
                    *(self.now(), WAITING),
                )
            except sqlite3.IntegrityError as error:
                raise TakenError(output) from error
            run("insert into tasks (job, kind, number) values (?, ?, 0)", job_id, PLAN)
            # What lies beside that output from now on is of this job.
            run("update jobs set kept = 0 where output = ? and id != ?", output, job_id)
        return self.job(job_id)

    def job(self, job_id: str) -> JobRow:
        """By its id, or the beginning of it, or its number. Raises KeyError: none, or several."""
        if rows := self.all(f"{_JOBS} where jobs.id = ?", SEGMENT, job_id):
            return job_of(rows[0])
        jobs = self.jobs()
        found = [one for one in jobs if str(one.number) == job_id]
        found = found or [one for one in jobs if one.id.startswith(job_id)]
        if len(found) != 1:
            raise KeyError(job_id)
        return found[0]

    def jobs(self, states: Sequence[str] = ()) -> list[JobRow]:
        """In the order in which they were added. states: only these; empty: all."""
        rows = self.all(f"{_JOBS} order by jobs.number", SEGMENT)
        return [job_of(row) for row in rows if not states or row["state"] in states]

    def some(self, ids: Sequence[str]) -> list[JobRow]:
        """Jobs by their whole ids, in the order in which they were added; in one query, as it is
        asked twice a second for all jobs of a batch."""
        wanted = f"{_JOBS} where id in (select value from json_each(?)) order by jobs.number"
        rows = self.all(wanted, SEGMENT, json.dumps(list(ids)))
        return [job_of(row) for row in rows]

    def has_work(self) -> bool:
        """Whether a job is not finished."""
        return bool(self.all("select 1 from jobs where state in (?, ?) limit 1", *OPEN))

    def queue(self) -> list[str]:
        """Ids of the jobs that wait, in the order in which they will be worked on."""
        waiting = "select id from jobs where state = ? order by priority desc, number"
        return [row["id"] for row in self.all(waiting, WAITING)]

    def cancel(self, job_id: str) -> bool:
        """Returns whether the job was not finished yet. One that was only to be judged is done,
        with a note: its video is there."""
        with self.transaction() as run:
            is_made = run(
                "select 1 from tasks where job = ? and kind = ?", job_id, JUDGE
            ).fetchone()
            state, note = (DONE, NOT_JUDGED) if is_made else (CANCELLED, None)
            changed = run(
                "update jobs set state = ?, note = ?, error = null, finished = ? where id = ?"
                " and state in (select value from json_each(?))",
                *(state, note, self.now(), job_id, json.dumps(OPEN)),
            )
            return changed.rowcount == 1

    def retry(self, job_id: str) -> bool:
        """A job that has failed, or was cancelled, waits again; what is done of it stays. Returns
        whether it was one. Raises TakenError."""
        try:
            with self.transaction() as run:
                retried = run(
                    "update jobs set state = ?, error = null, finished = null where id = ?"
                    " and state in (?, ?)",
                    *(WAITING, job_id, FAILED, CANCELLED),
                )
                if not retried.rowcount:
                    return False
                run(
                    "update tasks set state = 'ready', attempts = 0, not_before = 0, owner = null"
                    " where job = ? and state != 'done'",
                    job_id,
                )
        except sqlite3.IntegrityError as error:
            raise TakenError(self.job(job_id).output) from error
        return True

    def end(self, job_id: str, state: str, error: str | None) -> None:
        """A job that ended before this store was made."""
        with self.transaction() as run:
            run("update jobs set state = ?, error = ? where id = ?", state, error, job_id)

    def start_over(self, job_id: str) -> None:
        """The plan has to be made again."""
        with self.transaction() as run:
            run("delete from tasks where job = ?", job_id)
            run("insert into tasks (job, kind, number) values (?, ?, 0)", job_id, PLAN)

    def done_and_kept(self) -> list[JobRow]:
        """Jobs that are done, and whose files for another attempt may be there still."""
        rows = self.all(f"{_JOBS} where jobs.state = ? and jobs.kept", SEGMENT, DONE)
        return [job_of(row) for row in rows]

    def kept_nothing(self, job_id: str) -> None:
        """The files that were kept for another attempt at a job are gone, or another's by now."""
        with self.transaction() as run:
            run("update jobs set kept = 0 where id = ?", job_id)

    def forget(self, job_id: str) -> None:
        """Removes a job from the store; no file is touched."""
        with self.transaction() as run:
            run("delete from jobs where id = ?", job_id)

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Every attempt at every task of a job, oldest first."""
        return [
            dict(r) for r in self.all("select * from attempts where job = ? order by begun", job_id)
        ]

    def tasks(self, job_id: str) -> list[dict[str, Any]]:
        return [
            dict(r)
            for r in self.all("select * from tasks where job = ? order by kind, number", job_id)
        ]
