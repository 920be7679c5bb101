"""Whose uploads and jobs are whose, and under which keys they were asked for: server.sqlite."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from latentsync.server.files.folders import is_id
from latentsync.server.tables import Tables
from latentsync.server.views import JobRequest, UploadView

SCHEMA = """
create table if not exists uploads (
    id text primary key, user text not null, created real not null, place text,
    digest text not null, view text not null);
create index if not exists uploads_of_a_user on uploads (user, created);
create table if not exists jobs (
    number integer primary key autoincrement, id text not null unique, user text not null,
    created real not null, client_id text, key text, digest text not null, request text not null,
    note text, tries integer not null default 0, told integer not null default 0,
    hidden integer not null default 0);
create index if not exists jobs_of_a_user on jobs (user, number);
create unique index if not exists one_client_id on jobs (user, client_id)
    where client_id is not null;
create unique index if not exists one_key on jobs (user, key) where key is not null;
create table if not exists uses (
    job text not null references jobs (id) on delete cascade, upload text not null,
    primary key (job, upload));
create index if not exists uses_of_an_upload on uses (upload);
"""
"""A job that is hidden was deleted, but for its files. told: whether its end was noticed. tries:
how often it was tried again."""


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """place: of a file that is not in the server's folder; None: it is. digest: of the contents."""

    id: str
    user: str
    created: float
    place: str | None
    digest: str
    view: UploadView


@dataclass(frozen=True, slots=True)
class JobRecord:
    """digest: of the request, the contents of its files included. note: what the user is to know
    of how it was set up."""

    number: int
    id: str
    user: str
    created: float
    client_id: str | None
    key: str | None
    digest: str
    request: JobRequest
    note: str | None
    tries: int
    hidden: bool


class TakenError(Exception):
    """The user has a job with that client id or key."""


class Records:
    """From any thread. now: the clock, seconds since the epoch."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.tables, self.now = Tables(path, SCHEMA), now

    def close(self) -> None:
        self.tables.close()

    # uploads
    def add_upload(
        self, user: str, view: UploadView, *, digest: str, place: Path | None = None
    ) -> None:
        self.tables.run(
            "insert into uploads (id, user, created, place, digest, view)"
            " values (?, ?, ?, ?, ?, ?)",
            *(view.id, user, self.now(), None if place is None else str(place), digest),
            json.dumps(asdict(view)),
        )

    def upload(self, user: str, upload_id: str) -> UploadRecord | None:
        return self._upload("user = ? and id = ?", user, upload_id) if is_id(upload_id) else None

    def upload_at(self, user: str, place: Path) -> UploadRecord | None:
        """The newest one that is that file, which may have changed since."""
        where = "user = ? and place = ? order by created desc"
        return self._upload(where, user, str(place))

    def uploads_before(self, second: float) -> list[UploadRecord]:
        """Of all users, those that no job has."""
        rows = self.tables.all(
            "select * from uploads where created < ?"
            " and not exists (select 1 from uses where upload = uploads.id)",
            second,
        )
        return [_upload_of(row) for row in rows]

    def count_uploads(self, user: str, *, not_of: Collection[str]) -> int:
        """Those that none of these jobs has."""
        (row,) = self.tables.all(
            "select count(*) as count from uploads where user = ? and not exists (select 1 from"
            " uses where upload = uploads.id and job in (select value from json_each(?)))",
            *(user, json.dumps(list(not_of))),
        )
        return int(row["count"])

    def jobs_with(self, upload_id: str) -> list[str]:
        """Ids of the jobs that were made of an upload."""
        rows = self.tables.all("select job from uses where upload = ?", upload_id)
        return [row["job"] for row in rows]

    def forget_upload(self, upload_id: str) -> None:
        self.tables.run("delete from uploads where id = ?", upload_id)

    # jobs
    def add_job(
        self,
        job_id: str,
        user: str,
        request: JobRequest,
        *,
        digest: str,
        note: str | None,
        client_id: str | None = None,
        key: str | None = None,
    ) -> JobRecord:
        """Raises TakenError."""
        uses = {one for one in (request.video, request.audio, request.reference) if one}
        try:
            with self.tables.transaction() as run:
                run(
                    "insert into jobs (id, user, created, client_id, key, digest, request, note)"
                    " values (?, ?, ?, ?, ?, ?, ?, ?)",
                    *(job_id, user, self.now(), client_id, key, digest),
                    *(json.dumps(asdict(request)), note),
                )
                for upload in sorted(uses):
                    run("insert into uses (job, upload) values (?, ?)", job_id, upload)
        except sqlite3.IntegrityError as error:
            raise TakenError from error
        found = self.job(user, job_id)
        assert found is not None
        return found

    def job(self, user: str, job_id: str) -> JobRecord | None:
        if not is_id(job_id):  # SQLite does not take every text
            return None
        return self._job("user = ? and id = ? and not hidden", user, job_id)

    def jobs_of_all(self, ids: Collection[str]) -> list[JobRecord]:
        """Jobs of any users by their ids, without those that are hidden."""
        rows = self.tables.all(
            "select * from jobs where not hidden and id in (select value from json_each(?))",
            json.dumps(list(ids)),
        )
        return [_job_of(row) for row in rows]

    def job_asked(self, user: str, client_id: str | None, key: str | None) -> JobRecord | None:
        """The job that was asked for under one of these before."""
        return self._job("user = ? and (client_id = ? or key = ?)", user, client_id, key)

    def jobs(self, user: str, *, after: int | None = None, limit: int = 100) -> list[JobRecord]:
        """Newest first. after: the number of the last one that is known."""
        rows = self.tables.all(
            "select * from jobs where user = ? and not hidden and (? is null or number < ?)"
            " order by number desc limit ?",
            *(user, after, after, limit),
        )
        return [_job_of(row) for row in rows]

    def known(self, kind: Literal["uploads", "jobs"]) -> set[str]:
        """Ids of all users, those of hidden jobs included."""
        return {row["id"] for row in self.tables.all(f"select id from {kind}")}

    def users_of(self, ids: list[str]) -> dict[str, str]:
        """Job -> user."""
        rows = self.tables.all(
            "select id, user from jobs where id in (select value from json_each(?))",
            json.dumps(ids),
        )
        return {row["id"]: row["user"] for row in rows}

    def count(self, kind: Literal["uploads", "jobs"]) -> int:
        (row,) = self.tables.all(f"select count(*) as count from {kind}")
        return int(row["count"])

    def hide_job(self, job_id: str) -> None:
        """Nobody sees it any more, and its client id and key are free."""
        self.tables.run(
            "update jobs set hidden = 1, client_id = null, key = null where id = ?", job_id
        )

    def hidden_jobs(self) -> list[JobRecord]:
        rows = self.tables.all("select * from jobs where hidden order by number")
        return [_job_of(row) for row in rows]

    def forget_job(self, job_id: str) -> None:
        self.tables.run("delete from jobs where id = ?", job_id)

    def untold(self) -> list[str]:
        """Ids of the jobs whose end was not noticed yet."""
        rows = self.tables.all("select id from jobs where not told and not hidden")
        return [row["id"] for row in rows]

    def set_told(self, record: JobRecord) -> None:
        """Its end was noticed, unless it is tried again already."""
        self.tables.run(
            "update jobs set told = 1 where id = ? and tries = ?", record.id, record.tries
        )

    def retry_job(self, job_id: str) -> None:
        self.tables.run("update jobs set told = 0, tries = tries + 1 where id = ?", job_id)

    def _upload(self, where: str, *values: object) -> UploadRecord | None:
        rows = self.tables.all(f"select * from uploads where {where}", *values)
        return _upload_of(rows[0]) if rows else None

    def _job(self, where: str, *values: object) -> JobRecord | None:
        rows = self.tables.all(f"select * from jobs where {where} order by number", *values)
        return _job_of(rows[0]) if rows else None


def _upload_of(row: sqlite3.Row) -> UploadRecord:
    view = UploadView(**json.loads(row["view"]))
    return UploadRecord(
        row["id"], row["user"], row["created"], row["place"], row["digest"], view=view
    )


def _job_of(row: sqlite3.Row) -> JobRecord:
    given: dict[str, Any] = json.loads(row["request"])
    columns = {name: row[name] for name in JobRecord.__dataclass_fields__ if name != "request"}
    return JobRecord(**{**columns, "hidden": bool(row["hidden"])}, request=JobRequest(**given))
