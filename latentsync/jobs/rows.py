"""What the store holds: the tables, and a job and a task as values."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

PLAN, SEGMENT, JOIN, JUDGE = "plan", "segment", "join", "judge"
"""Kinds of tasks, in the order in which a job needs them; JUDGE only where a job asks for it."""
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
"""States of a job."""
OPEN = (WAITING, RUNNING)

NOT_JUDGED = "not judged: that was cancelled"
"""Note of a job that was cancelled when its video was there already."""
SHORT = "out of memory"
"""Outcome of an attempt that failed for want of memory."""
LEASE = 30.0
"""Seconds after its last sign of life at which a worker counts as gone."""
SCHEMA = """
create table if not exists jobs (
    id text primary key, number integer, name text not null, output text not null,
    config text not null, priority integer not null, created real not null,
    state text not null, error text, frames integer not null default 0,
    started real, finished real);
create unique index if not exists one_job_an_output on jobs (output)
    where state in ('waiting', 'running');
create table if not exists tasks (
    job text not null references jobs (id) on delete cascade, kind text not null,
    number integer not null, frames integer not null default 0, done integer not null default 0,
    state text not null default 'ready', attempts integer not null default 0,
    not_before real not null default 0, owner text, lease real,
    primary key (job, kind, number));
create table if not exists attempts (
    job text not null references jobs (id) on delete cascade, kind text not null,
    number integer not null, owner text not null, begun real not null, ended real,
    outcome text, error text);
create index if not exists attempts_of_a_job on attempts (job);
"""
ADDED = {
    "jobs": {"note": "text", "kept": "integer not null default 0"},
    "tasks": {"stage": "text", "total": "integer not null default 0"},
}
"""Table -> columns that stores of earlier versions are without. kept: whether files for another
attempt may lie beside the output."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job. number: 1 for the first that was added. output: the file. settings: as JSON.
    priority: higher comes first. frames, done: of the output; 0: not known yet. error: one line.
    started, finished: None: not yet. note: why a job that is done was not judged. stage: what is
    worked on, in words; None: nothing is. stage_kind: of its task. stage_done, stage_total: frames
    of the stage; 0: not known."""

    id: str
    number: int
    name: str
    output: str
    settings: str
    priority: int
    created: float
    state: str
    error: str | None
    frames: int
    done: int
    started: float | None
    finished: float | None
    note: str | None
    stage: str | None
    stage_kind: str | None
    stage_done: int
    stage_total: int

    @property
    def config(self) -> dict[str, Any]:
        """The settings, as plain data. Read when asked for: whoever looks at thousands of jobs for
        how far they are does not want them."""
        return dict(json.loads(self.settings))


@dataclass(frozen=True, slots=True)
class Task:
    """A leased task. number: of the segment, else 0. attempt: 1 for the first. owner: its
    worker. short: whether memory was short at an earlier attempt at
    the job."""

    job: JobRow
    kind: str
    number: int
    attempt: int
    owner: str
    short: bool = False


def key_of(task: Task) -> tuple[str, str, int]:
    """Of its row."""
    return task.job.id, task.kind, task.number


def job_of(row: sqlite3.Row) -> JobRow:
    """row: of job_table. The frames of a segment count for all segments."""
    columns = {name: name for name in JobRow.__dataclass_fields__} | {"settings": "config"}
    if row["stage_kind"] == SEGMENT:
        columns |= {"stage_done": "done", "stage_total": "frames"}
    return JobRow(**{name: row[column] for name, column in columns.items()})
