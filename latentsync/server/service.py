"""What the server does, without HTTP: the routes of the API and the page call this, nothing else.

Every call names the user, and answers only about what is that user's: for anybody else it does not
exist (404). Errors are ApiError, worded as the command words them.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from latentsync import __version__
from latentsync.server.engine import Engine
from latentsync.server.files.folders import ServerFiles
from latentsync.server.files.retention import Retention
from latentsync.server.files.uploads import Uploads
from latentsync.server.internet.webhooks import Webhooks
from latentsync.server.jobs.desk import JobDesk
from latentsync.server.jobs.job_store import JobStore, open_ids
from latentsync.server.jobs.ordering import Order, Orders
from latentsync.server.jobs.watching import Watch
from latentsync.server.metrics import metrics_text
from latentsync.server.quick import generators, weights
from latentsync.server.quick.asking import Asking
from latentsync.server.quick.tasks import QuickWork
from latentsync.server.records import JobRecord, Records
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest, JobView, ModelView, TaskView, UploadView
from latentsync.server.work.process import EngineProcess

logger = logging.getLogger(__name__)

DATABASE = "server.sqlite"
LOCAL = "local"
"""The one user of a server that demands no token."""


class Service:
    """One for a server; used from its event loop. Calls that are not async take milliseconds."""

    def __init__(self, settings: ServerSettings, engine: Engine | None = None) -> None:
        """engine: None: a process of its own, which is started when there is work."""
        settings.root.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self._files = files = ServerFiles(settings.root.resolve())
        self.records, self._store = Records(files.root / DATABASE), JobStore(settings.jobs)
        self._uploads = Uploads(settings, files, self.records, self._store)
        shared = (settings, files, self.records, self._store, self._uploads)
        self._orders = Orders(*shared)
        self._desk = JobDesk(*shared, check_limits=self._orders.check_limits, changed=self._changed)
        self._engine = EngineProcess(settings) if engine is None else engine
        self._quick = QuickWork(files, self._engine)
        self._asking = Asking(*(settings, files, self._uploads, self._quick, self._engine))
        self._watch = Watch(self._desk, self.records, self._ended)
        self._webhooks = Webhooks(settings, files.root / DATABASE)
        self._retention = Retention(
            *shared,
            forgotten=self._webhooks.forget,
            hourly=self._quick.sweep,
        )
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Goes on with unfinished jobs; the engine's process is started when it has work."""
        await asyncio.to_thread(self._desk.forget_unmade)
        work = (self._watch.run(), self._webhooks.run(), self._retention.run())
        self._background = [asyncio.create_task(one) for one in work]
        for task in self._background:
            task.add_done_callback(_log_failure)
        self._changed()

    async def stop(self) -> None:
        """Drains: no new work; the segment at hand is finished within settings.grace seconds."""
        for one in self._background:
            one.cancel()
        await asyncio.to_thread(self._engine.drain, self.settings.grace)
        await asyncio.gather(*self._background, return_exceptions=True)
        self._uploads.close()
        self._webhooks.close()
        self._store.close()
        self.records.close()

    # files that users give
    async def receive(self, user: str, name: str, chunks: AsyncIterator[bytes]) -> UploadView:
        return await self._uploads.receive(user, name, chunks)

    async def take(self, user: str, name: str, path: Path) -> UploadView:
        """A file of this machine that the server has received already: it is moved."""
        return await self._uploads.take(user, name, path)

    async def use(self, user: str, place: str) -> UploadView:
        """A path below an allowed folder, or an https URL."""
        return await self._uploads.use(user, place)

    def upload(self, user: str, upload_id: str) -> UploadView:
        return self._uploads.given(user, upload_id).view

    def upload_file(self, user: str, upload_id: str) -> Path:
        return self._uploads.given(user, upload_id).path

    async def upload_proxy(self, user: str, upload_id: str) -> Path:
        """An H.264 copy that every browser plays; the file itself where that plays."""
        return await self._asking.proxy(user, upload_id)

    def delete_upload(self, user: str, upload_id: str) -> None:
        self._uploads.delete(user, upload_id)

    async def demo(self, user: str) -> tuple[UploadView, UploadView]:
        """The demo clip and its speech, as if they had been uploaded."""
        return await self._uploads.demo(user)

    # work that somebody waits for
    def find_people(self, user: str, video: str) -> TaskView:
        """result: list of PersonView."""
        return self._asking.people(user, video)

    def preview(
        self, user: str, request: JobRequest, seconds: float, restorers: tuple[str, ...]
    ) -> TaskView:
        """result: PreviewView. restorers: none, Detail, Self, GFPGAN, CodeFormer; empty: that of
        the settings."""
        return self._asking.preview(user, request, seconds, restorers)

    def estimate(self, user: str, request: JobRequest) -> TaskView:
        """result: EstimateView."""
        return self._asking.estimate(user, request)

    def fetch(self, user: str, keys: tuple[str, ...], accept: tuple[str, ...]) -> TaskView:
        """Fetches weights; accept: names of licences. result: list of ModelView."""
        return self._asking.fetch(user, keys, accept)

    def task(self, user: str, task_id: str) -> TaskView:
        return self._quick.task(user, task_id)

    async def finished(self, user: str, task_id: str, wait: float) -> TaskView:
        """The task once it has ended, or as it is after that many seconds."""
        return await self._quick.finished(user, task_id, wait)

    def task_file(self, user: str, task_id: str, name: str) -> Path:
        """A picture of its result."""
        return self._quick.file(user, task_id, name)

    # jobs
    async def create(
        self,
        user: str,
        request: JobRequest,
        *,
        client_id: str | None = None,
        key: str | None = None,
    ) -> tuple[JobView, bool]:
        """A new job; False: the job that was made before with the same client id or key. The same
        with another request: 409."""
        if request.webhook is not None:
            await self._webhooks.check(request.webhook)
        order = Order(user, request, client_id, key)
        job_id, new = await asyncio.to_thread(self._orders.create, order)
        await asyncio.to_thread(self._changed)
        return self._desk.job(user, job_id), new

    def jobs(
        self, user: str, *, limit: int = 20, after: str | None = None, state: str | None = None
    ) -> tuple[list[JobView], bool]:
        """Newest first; and whether there are more."""
        return self._desk.jobs(user, limit=limit, after=after, state=state)

    def job(self, user: str, job_id: str) -> JobView:
        return self._desk.job(user, job_id)

    def events(self, user: str, job_id: str) -> AsyncIterator[JobView]:
        """The job now, and whenever something has changed, until it has ended."""
        return self._watch.events(user, job_id)

    def cancel(self, user: str, job_id: str) -> JobView:
        return self._desk.cancel(user, job_id)

    def retry(self, user: str, job_id: str) -> JobView:
        return self._desk.retry(user, job_id)

    def delete(self, user: str, job_id: str) -> None:
        """With its files; a job that is worked on is cancelled first."""
        self._desk.delete(user, job_id)

    def job_file(self, user: str, job_id: str, what: str) -> Path:
        """what: video, source, report, evaluation, page, settings, proxy."""
        return self._desk.file(user, job_id, what)

    def public(self, text: str) -> str:
        """A text without the server's own folders."""
        return self._files.public(text)

    # what there is
    def models(self) -> list[ModelView]:
        return weights.models()

    def generators(self) -> list[tuple[str, str]]:
        """Names that can be chosen, each with what to call it in a list, best first."""
        return generators.generators()

    def restorers(self) -> list[str]:
        """Names that can be chosen, best first; those without weights included."""
        return weights.restorers()

    def health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "version": __version__,
            "unfinished": len(self._store(open_ids)),
            "disk_free": shutil.disk_usage(self.settings.root).free,
        }

    def metrics(self) -> str:
        """In the text format of Prometheus."""
        return metrics_text(self.settings, self._store, self.records, self._quick)

    def _changed(self) -> None:
        """There is new work, or less; from any thread."""
        self._watch.look()
        if self._store(open_ids):
            self._engine.wake()

    async def _ended(self, record: JobRecord, view: JobView) -> None:
        """Called once for each job that has ended."""
        if record.request.webhook is not None:
            self._webhooks.add(view, record.request.webhook)
        if "video" in view.links:
            self._asking.copy_result(self._desk.file(record.user, record.id, "video"))


def _log_failure(task: asyncio.Task[None]) -> None:
    """Background work ends when it is cancelled; before that, it has failed."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("background work of the server has ended", exc_info=error)
