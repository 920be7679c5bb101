"""Deletes what is no longer kept: only files of the server's own folders, by their ids."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from functools import partial

from latentsync.errors import LatentSyncError
from latentsync.jobs.rows import OPEN
from latentsync.jobs.store import Store
from latentsync.server.files.folders import ServerFiles, remove
from latentsync.server.files.uploads import Uploads
from latentsync.server.jobs.job_store import JobStore, is_worked_on
from latentsync.server.records import Records
from latentsync.server.settings import ServerSettings

logger = logging.getLogger(__name__)

HOUR = 3600.0
_SOON = 1.0  # seconds after which a deleted job may be free of its worker
_STRAY = 2 * HOUR  # seconds after which a folder that no record names is left over


class Retention:
    """forgotten: called with the id of each job whose files go. hourly: called beside all this.
    clock: seconds since the epoch."""

    def __init__(
        self,
        settings: ServerSettings,
        files: ServerFiles,
        records: Records,
        store: JobStore,
        uploads: Uploads,
        *,
        forgotten: Callable[[str], None],
        hourly: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files, self._records, self._store = files, records, store
        self._uploads, self._clock = uploads, clock
        self._forgotten, self._hourly = forgotten, hourly
        self._keep = settings.keep_hours * HOUR

    async def run(self) -> None:
        """Until it is cancelled."""
        swept = -HOUR
        while True:
            try:
                await asyncio.to_thread(self.remove_deleted)
                if time.monotonic() - swept >= HOUR:
                    swept = time.monotonic()
                    await asyncio.to_thread(self.sweep)
            except (OSError, sqlite3.Error, LatentSyncError):
                logger.exception("files that are no longer kept could not be deleted")
            await asyncio.sleep(_SOON)

    def sweep(self) -> None:
        """What is older than it is kept, and what was left over."""
        if self._keep:
            self._expire()
        self._remove_strays()
        self._hourly()
        self.remove_deleted()

    def remove_deleted(self) -> None:
        """Jobs that users have deleted, once no worker writes their files."""
        for record in self._records.hidden_jobs():
            if self._store(partial(is_worked_on, job_id=record.id)):
                continue
            self._store(partial(self._forget, job_id=record.id))
            self._forgotten(record.id)
            remove(self._files.job(record.user, record.id))
            self._records.forget_job(record.id)

    def _expire(self) -> None:
        before = self._clock() - self._keep
        for job_id in self._store(lambda store: _ended_before(store, before)):
            self._records.hide_job(job_id)
        for upload in self._records.uploads_before(before):
            self._uploads.forget(upload)

    def _remove_strays(self) -> None:
        """Folders without a record: uploads that broke off when the server was killed."""
        known = {kind: self._records.known(kind) for kind in ("uploads", "jobs")}
        for kind, ids in known.items():
            for folder in self._files.all(kind):
                old = self._clock() - folder.stat().st_mtime > _STRAY
                if old and folder.name not in ids:
                    remove(folder)

    def _forget(self, store: Store, job_id: str) -> None:
        self._store.files.remove(job_id)
        store.forget(job_id)


def _ended_before(store: Store, second: float) -> list[str]:
    marks = ", ".join("?" * len(OPEN))
    wanted = f"select id from jobs where state not in ({marks}) and coalesce(finished, created) < ?"
    return [row["id"] for row in store.all(wanted, *OPEN, second)]
