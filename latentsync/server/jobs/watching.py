"""Looks at the unfinished jobs for everybody who waits for news of them, with one query."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from latentsync.server.jobs.desk import JobDesk
from latentsync.server.records import JobRecord, Records
from latentsync.server.views import JobView

logger = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds between two looks at the store."""

Ended = Callable[[JobRecord, JobView], Awaitable[None]]
"""Called once for each job that has ended; again after a crash in between."""


class Watch:
    """Used from the server's event loop; look() may be called from any thread."""

    def __init__(self, desk: JobDesk, records: Records, ended: Ended) -> None:
        self._desk, self._records, self._ended = desk, records, ended
        self._latest: dict[str, JobView | None] = {}
        self._listeners: Counter[str] = Counter()
        self._news: dict[str, asyncio.Event] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        # Its own: news come also while others of the server's threads read and hash long files.
        self._thread = ThreadPoolExecutor(1, "watch")
        self._wanted, self._closed = asyncio.Event(), False

    def look(self) -> None:
        """There may be news."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wanted.set)

    async def run(self) -> None:
        """Until it is cancelled; then nobody waits any more. Rests while nobody listens and no job
        is unfinished."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._run()
        finally:
            self._closed = True
            for news in self._news.values():
                news.set()
            self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                busy = await self.look_once()
            except Exception:  # of the disk; what was missed is seen the next time
                logger.exception("the jobs could not be looked at")
                busy = True
            if busy or self._listeners:
                await asyncio.sleep(EVERY)
            else:
                await self._wanted.wait()

    async def look_once(self) -> bool:
        """Returns whether a job is unfinished."""
        loop = asyncio.get_running_loop()
        untold, seen = await loop.run_in_executor(self._thread, self._read, set(self._listeners))
        for job_id in set(self._latest) - set(seen):
            self._tell(job_id, None)
        for job_id, (record, view) in seen.items():
            self._tell(job_id, view)
            if view.ended and job_id in untold:
                await self._ended(record, view)
                await loop.run_in_executor(self._thread, self._records.set_told, record)
        return any(not view.ended for _, view in seen.values())

    async def events(self, user: str, job_id: str) -> AsyncIterator[JobView]:
        """See Service.events. Ends without another view where the job is deleted."""
        shown = await asyncio.to_thread(self._desk.job, user, job_id)
        self._listeners[job_id] += 1
        try:
            self.look()
            yield shown
            while not (shown.ended or self._closed):
                news = self._news.setdefault(job_id, asyncio.Event())
                view = self._latest.get(job_id, shown)
                if view is None:
                    return
                if view == shown:
                    await news.wait()
                else:
                    yield view
                    shown = view
        finally:
            self._listeners[job_id] -= 1
            if not self._listeners[job_id]:
                del self._listeners[job_id]
                self._drop_ended(job_id)

    def _read(self, listened: set[str]) -> tuple[set[str], dict[str, tuple[JobRecord, JobView]]]:
        untold = set(self._records.untold())
        records = self._records.jobs_of_all(untold | listened)
        by_id = {record.id: record for record in records}
        views = self._desk.views(records)
        return untold, {view.id: (by_id[view.id], view) for view in views}

    def _tell(self, job_id: str, view: JobView | None) -> None:
        if job_id not in self._latest or self._latest[job_id] != view:
            self._latest[job_id] = view
            if (news := self._news.pop(job_id, None)) is not None:
                news.set()
        self._drop_ended(job_id)

    def _drop_ended(self, job_id: str) -> None:
        """What nobody asks for any more is not kept."""
        view = self._latest.get(job_id)
        if job_id not in self._listeners and (view is None or view.ended):
            self._latest.pop(job_id, None)
            self._news.pop(job_id, None)
