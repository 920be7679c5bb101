"""Jobs as users see them: made, listed, cancelled, tried again, deleted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

from latentsync.jobs.job_table import TakenError as OutputTakenError
from latentsync.jobs.rows import OPEN, JobRow
from latentsync.jobs.store import Store
from latentsync.server.configuring import Configured, Files, configure
from latentsync.server.errors import ApiError, not_found
from latentsync.server.files import ServerFiles, new_id, remove, shown_name
from latentsync.server.job_store import JobStore, open_ids
from latentsync.server.receiving import check_room
from latentsync.server.records import JobRecord, Records, TakenError
from latentsync.server.settings import ServerSettings
from latentsync.server.settings_file import SETTINGS_FILE, settings_text
from latentsync.server.states import OF_STORE, Progressing, job_view, result_files
from latentsync.server.uploads import Uploads
from latentsync.server.views import JobRequest, JobView
from latentsync.server.weights import check_weights

PRIORITIES = range(-10, 11)
MOST_LISTED = 100
_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_RETRY = 30  # seconds after which the queue may be shorter
_PAGE = 100  # records that are looked at at once for those of a state


class JobDesk:
    """From any thread. changed: called when there is new work, or less."""

    def __init__(
        self,
        settings: ServerSettings,
        files: ServerFiles,
        records: Records,
        store: JobStore,
        uploads: Uploads,
        changed: Callable[[], None],
    ) -> None:
        self._settings, self._files, self._records = settings, files, records
        self._store, self._uploads, self._changed = store, uploads, changed
        self._progressing, self._creating = Progressing(), threading.Lock()

    def create(
        self, user: str, request: JobRequest, client_id: str | None, key: str | None
    ) -> tuple[JobView, bool]:
        """See Service.create; takes some ten milliseconds."""
        _check_key(client_id, "client id")
        _check_key(key, "Idempotency-Key")
        if request.priority not in PRIORITIES:
            message = f"priority: {request.priority}; use {PRIORITIES[0]} to {PRIORITIES[-1]}"
            raise ApiError(422, "priority", message, "priority")
        files = self.files_of(user, request)
        digest = _digest(request, files)
        with self._creating:  # the same request may come twice at once
            known = self._known(user, client_id, key, digest)
            if known is not None:
                return self.job(user, known.id), False
            self._check_limits(user)
            job_id = new_id()
            folder = self._files.job(user, job_id)
            made = configure(request, files, folder, self._settings)
            check_weights(made.config)
            self._queue(user, job_id, request, made, files, digest, client_id, key)
        self._changed()
        return self.job(user, job_id), True

    def files_of(self, user: str, request: JobRequest) -> Files:
        """The uploads that a request names. Raises ApiError (404)."""
        given = {
            field: None if upload is None else self._uploads.given(user, upload, field)
            for field, upload in (
                *(("video", request.video), ("audio", request.audio)),
                ("reference", request.reference),
            )
        }
        assert given["video"] is not None
        return Files(given["video"], given["audio"], given["reference"])

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
        self.files_of(user, record.request)
        try:
            retried = self._store(lambda store: store.retry(record.id))
        except OutputTakenError as error:
            raise ApiError(409, "taken", str(error)) from error
        if not retried:
            state = self.job(user, job_id).state
            message = f"the job {job_id} is {state}; only failed or cancelled ones are tried again"
            raise ApiError(409, "not_ended", message)
        self._records.set_told(record.id, False)
        self._changed()
        return self.job(user, job_id)

    def delete(self, user: str, job_id: str) -> None:
        """Nobody sees it any more; its files go when no worker has it (see sweeping)."""
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
            found = result_files(Path(self._row(record).output)).get(what)
            found = found if self.job(user, job_id).state == "completed" else None
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

    def is_open(self, ids: list[str]) -> bool:
        """Whether one of these jobs is unfinished."""
        rows = self._store(lambda store: store.some(ids)) if ids else []
        return any(row.state in OPEN for row in rows)

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
        if view.error is None:
            return view
        error = dataclasses.replace(view.error, message=self._files.public(view.error.message))
        return dataclasses.replace(view, error=error)

    def _queue(
        self,
        user: str,
        job_id: str,
        request: JobRequest,
        made: Configured,
        files: Files,
        digest: str,
        client_id: str | None,
        key: str | None,
    ) -> None:
        """Whose it is stands first: what is killed in between leaves no job without an owner."""
        name = shown_name(request.name or files.video.view.name, "job")
        folder, config = self._files.job(user, job_id), made.config
        folder.mkdir(parents=True)
        check_room(folder, self._settings.limits)
        (folder / SETTINGS_FILE).write_text(settings_text(config, files), "utf-8")
        try:
            self._records.add_job(
                *(job_id, user, request),
                digest=digest,
                note=made.note,
                client_id=client_id,
                key=key,
            )
        except TakenError as error:
            remove(folder)
            raise _another(client_id or key) from error
        plain = dataclasses.asdict(config)

        def add(store: Store) -> None:
            store.add(job_id, name, str(config.output.path), plain, request.priority)
            self._store.files.write(store.job(job_id))

        self._store(add)

    def _known(
        self, user: str, client_id: str | None, key: str | None, digest: str
    ) -> JobRecord | None:
        """The job of an earlier, equal request. Raises ApiError (409) for another request."""
        record = self._records.job_asked(user, client_id, key)
        if record is not None and record.digest != digest:
            raise _another(client_id or key)
        return record

    def _check_limits(self, user: str) -> None:
        """Raises ApiError (429)."""
        limits = self._settings.limits
        ids = self._store(open_ids)
        own = [one for one in self._records.users_of(ids).values() if one == user]
        for count, most, whose in (
            (len(own), limits.queue_of_user, "you have"),
            (len(ids), limits.queue, "the server has"),
        ):
            if count >= most:
                message = f"{whose} {count} unfinished jobs, as many as are allowed; try later"
                raise ApiError(429, "queue_full", message, retry_after=_RETRY)

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


def _check_key(key: str | None, what: str) -> None:
    if key is not None and _KEY.fullmatch(key) is None:
        message = f"{what}: {key[:200]!r}; use 1 to 128 letters, digits, . _ ~ -"
        raise ApiError(400, "bad_key", message)


def _another(key: str | None) -> ApiError:
    message = f"another request was sent with the key {key} before; use a new key"
    return ApiError(409, "key_used", message)


def _digest(request: JobRequest, files: Files) -> str:
    """Equal for the same request with the same contents, uploaded anew."""
    plain = dataclasses.asdict(request)
    plain |= {
        field: None if one is None else one.record.digest
        for field, one in (
            *(("video", files.video), ("audio", files.audio)),
            ("reference", files.reference),
        )
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
