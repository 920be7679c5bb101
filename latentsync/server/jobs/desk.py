"""Jobs as users see them: listed, cancelled, tried again, deleted, and their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from latentsync.jobs.job_table import TakenError as OutputTakenError
from latentsync.jobs.rows import DONE, JobRow
from latentsync.server.errors import ApiError, not_found
from latentsync.server.files.folders import ServerFiles
from latentsync.server.files.uploads import Uploads
from latentsync.server.jobs.job_store import JobStore
from latentsync.server.jobs.settings_file import SETTINGS_FILE
from latentsync.server.jobs.states import OF_STORE, Progressing, job_view, result_files
from latentsync.server.records import JobRecord, Records
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobView

MOST_LISTED = 100
_PAGE = 100  # records that are looked at at once for those of a state


class JobDesk:
    """From any thread. check_limits: raises where a user may have no further unfinished job.
    changed: called when there is new work, or less."""

    def __init__(
        self,
        settings: ServerSettings,
        files: ServerFiles,
        records: Records,
        store: JobStore,
        uploads: Uploads,
        *,
        check_limits: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._settings, self._files, self._records = settings, files, records
        self._store, self._uploads, self._changed = store, uploads, changed
        self._check_limits, self._progressing = check_limits, Progressing()

    def job(self, user: str, job_id: str) -> JobView:
        record = self._record(user, job_id)
        return self.views([record])[0]

    def jobs(
        self, user: str, *, limit: int, after: str | None, state: str | None
    ) -> tuple[list[JobView], bool]:
        """See Service.jobs."""
        if not 1 <= limit <= MOST_LISTED:
            message = f"limit: {limit}; use 1 to {MOST_LISTED}"
            raise ApiError(422, "limit", message, "limit")
        if state is not None and state not in OF_STORE:
            message = f"state: {state}; use one of {', '.join(OF_STORE)}"
            raise ApiError(422, "state", message, "state")
        last = None if after is None else self._record(user, after).number
        found: list[JobRecord] = []
        while len(found) <= limit and (page := self._records.jobs(user, after=last, limit=_PAGE)):
            found += self._in_state(page, state)
            last = page[-1].number
        return self.views(found[:limit]), len(found) > limit

    def cancel(self, user: str, job_id: str) -> JobView:
        """Raises ApiError (409) for a job that has ended."""
        record = self._record(user, job_id)
        if not self._store(lambda store: store.cancel(record.id)):
            state = self.job(user, job_id).state
            if state != "cancelled":
                message = f"the job {job_id} has ended: {state}; only unfinished ones are cancelled"
                raise ApiError(409, "ended", message)
        self._changed()
        return self.job(user, job_id)

    def retry(self, user: str, job_id: str) -> JobView:
        """Raises ApiError (409) for a job that has not failed and was not cancelled."""
        record = self._record(user, job_id)
        self._check_limits(user)
        self._uploads.files_of(user, record.request)
        try:
            retried = self._store(lambda store: store.retry(record.id))
        except OutputTakenError as error:
            raise ApiError(409, "taken", str(error)) from error
        if not retried:
            state = self.job(user, job_id).state
            message = f"the job {job_id} is {state}; only failed or cancelled ones are tried again"
            raise ApiError(409, "not_ended", message)
        self._records.retry_job(record.id)
        self._changed()
        return self.job(user, job_id)

    def delete(self, user: str, job_id: str) -> None:
        """Nobody sees it any more; its files go when no worker has it (see Retention)."""
        record = self._record(user, job_id)
        self._store(lambda store: store.cancel(record.id))
        self._records.hide_job(record.id)
        self._changed()

    def file(self, user: str, job_id: str, what: str) -> Path:
        """Raises ApiError (404)."""
        record = self._record(user, job_id)
        if what == "settings":
            path = self._files.job(user, record.id) / SETTINGS_FILE
            found = path if path.is_file() else None
        elif what == "source":
            upload = self._records.upload(user, record.request.video)
            found = None if upload is None else self._uploads.path_of(upload)
        else:
            row = self._row(record)
            files = result_files(Path(row.output)) if row.state == DONE else {}
            found = files.get(what) or (files.get("video") if what == "proxy" else None)
        if found is None:
            raise not_found("file of this job", what)
        return found

    def views(self, records: list[JobRecord]) -> list[JobView]:
        """Of jobs of any users, in order; those that the store does not have are left out."""
        ids = [record.id for record in records]
        rows, queue = self._store(lambda store: (store.some(ids), store.queue()))
        by_id = {row.id: row for row in rows}
        positions = {job_id: position for position, job_id in enumerate(queue)}
        return [
            self._view(by_id[one.id], one, positions.get(one.id))
            for one in records
            if one.id in by_id
        ]

    def forget_unmade(self) -> None:
        """Jobs that were noted, but not queued, when the server was killed."""
        known = self._records.known("jobs")
        there = self._store(lambda store: {row.id for row in store.some(sorted(known))})
        for job_id in known - there:
            self._records.hide_job(job_id)

    def _view(self, row: JobRow, record: JobRecord, position: int | None) -> JobView:
        upload = self._records.upload(record.user, record.request.video)
        view = job_view(
            row,
            record,
            progressing=self._progressing,
            position=position,
            has_source=upload is not None,
            keep_seconds=self._settings.keep_hours * 3600,
        )
        public, error, note = self._files.public, view.error, view.note
        if error is not None:
            message = self._as_given(record, public(error.message))
            error = dataclasses.replace(error, message=message)
        return dataclasses.replace(view, error=error, note=None if note is None else public(note))

    def _as_given(self, record: JobRecord, message: str) -> str:
        """With the names that the user gave to the files, which are kept under others."""
        wanted = record.request.video, record.request.audio
        for upload in (self._records.upload(record.user, one) for one in wanted if one):
            path = None if upload is None else self._uploads.path_of(upload)
            if upload is not None and path is not None:
                message = message.replace(path.name, upload.view.name)
        return message

    def _in_state(self, records: list[JobRecord], state: str | None) -> list[JobRecord]:
        if state is None:
            return records
        ids = [record.id for record in records]
        rows = self._store(lambda store: store.some(ids))
        wanted = {row.id for row in rows if row.state == OF_STORE[state]}
        return [record for record in records if record.id in wanted]

    def _record(self, user: str, job_id: str) -> JobRecord:
        record = self._records.job(user, job_id)
        if record is None:
            raise not_found("job", job_id)
        return record

    def _row(self, record: JobRecord) -> JobRow:
        return self._store(lambda store: store.job(record.id))
