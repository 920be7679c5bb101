"""New jobs: everything that can be checked is, before one is queued."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import threading
from dataclasses import dataclass

from latentsync.jobs.store import Store
from latentsync.server.errors import ApiError
from latentsync.server.files.folders import ServerFiles, new_id, remove, shown_name
from latentsync.server.files.receiving import check_room
from latentsync.server.files.uploads import Files, Uploads
from latentsync.server.jobs.configuring import Configured, configure
from latentsync.server.jobs.job_store import JobStore, open_ids
from latentsync.server.jobs.settings_file import SETTINGS_FILE, settings_text
from latentsync.server.quick.weights import check_weights
from latentsync.server.records import JobRecord, Records, TakenError
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest

PRIORITIES = range(-10, 11)
KEY = "[A-Za-z0-9._~-]{1,128}"
"""Of client ids and keys, a regular expression."""
_RETRY = 30  # seconds after which the queue may be shorter


def check_keys(client_id: str | None, key: str | None) -> None:
    """Raises ApiError (400): one that cannot be used."""
    for given, what, field in (
        (client_id, "the id", "client_id"),
        (key, "Idempotency-Key", "idempotency_key"),
    ):
        if given is not None and re.fullmatch(KEY, given) is None:
            message = f"{what}: {given[:200]!r}; use 1 to 128 of A-Z a-z 0-9 . _ ~ -"
            raise ApiError(400, f"invalid_{field}", message, field)


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asks for. client_id, key: under which the same may be asked for again."""

    user: str
    request: JobRequest
    client_id: str | None = None
    key: str | None = None

    def check(self) -> None:
        """Raises ApiError: 400 for keys, 422 for the priority."""
        check_keys(self.client_id, self.key)
        if (priority := self.request.priority) not in PRIORITIES:
            message = f"priority: {priority}; use {PRIORITIES[0]} to {PRIORITIES[-1]}"
            raise ApiError(422, "priority", message, "priority")

    def digest(self, files: Files) -> str:
        """Equal for the same request with the same contents, which may be uploaded anew."""
        plain = dataclasses.asdict(self.request)
        for field in ("video", "audio", "reference"):
            given = getattr(files, field)
            plain[field] = None if given is None else given.record.digest
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()

    def refused(self) -> ApiError:
        """Another request was sent under the same key."""
        message = f"{self.client_id or self.key} was sent with another request; use a new key"
        return ApiError(409, "key_used", message)


class Orders:
    """From any thread."""

    def __init__(
        self,
        settings: ServerSettings,
        files: ServerFiles,
        records: Records,
        store: JobStore,
        uploads: Uploads,
    ) -> None:
        self._settings, self._files, self._records = settings, files, records
        self._store, self._uploads, self._lock = store, uploads, threading.Lock()

    def create(self, order: Order) -> tuple[str, bool]:
        """The id of the job, and whether it is new; see Service.create. Takes some ten
        milliseconds."""
        order.check()
        files = self._uploads.files_of(order.user, order.request)
        digest = order.digest(files)
        with self._lock:  # the same may be asked for twice at once
            known = self._records.job_asked(order.user, order.client_id, order.key)
            if known is not None:
                if known.digest != digest:
                    raise order.refused()
                return known.id, False
            self.check_limits(order.user)
            job_id = new_id()
            folder = self._files.job(order.user, job_id)
            made = configure(order.request, files, folder, self._settings)
            check_weights(made.config)
            folder.mkdir(parents=True)
            try:
                check_room(folder, self._settings.limits)
                (folder / SETTINGS_FILE).write_text(settings_text(made.config, files), "utf-8")
                self._note(order, job_id, made, digest)
            except BaseException:
                remove(folder)
                raise
            self._queue(order, job_id, made, files)
        return job_id, True

    def check_limits(self, user: str) -> None:
        """Raises ApiError (429) where a further unfinished job would be too many."""
        limits, ids = self._settings.limits, self._store(open_ids)
        own = [one for one in self._records.users_of(ids).values() if one == user]
        for count, most, whose in (
            (len(own), limits.queue_of_user, "you have"),
            (len(ids), limits.queue, "the server has"),
        ):
            if count >= most:
                message = f"{whose} {count} unfinished jobs, as many as are allowed; try later"
                raise ApiError(429, "queue_full", message, retry_after=_RETRY)

    def _note(self, order: Order, job_id: str, made: Configured, digest: str) -> JobRecord:
        """Whose it is stands first: what is killed afterwards leaves no job without an owner."""
        try:
            return self._records.add_job(
                *(job_id, order.user, order.request),
                digest=digest,
                note=made.note,
                client_id=order.client_id,
                key=order.key,
            )
        except TakenError as error:  # one key of this request, another one of that
            raise order.refused() from error

    def _queue(self, order: Order, job_id: str, made: Configured, files: Files) -> None:
        config, request = made.config, order.request
        name = shown_name(request.name or files.video.view.name, "job")
        plain = dataclasses.asdict(config)

        def add(store: Store) -> None:
            store.add(job_id, name, str(config.output.path), plain, request.priority)
            self._store.files.write(store.job(job_id))

        self._store(add)
