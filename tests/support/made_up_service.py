"""A service without work: it has the calls of latentsync.server.service, and answers at once.

Its jobs stay queued until a test ends them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from latentsync.server.errors import ApiError, not_found
from latentsync.server.settings import ServerSettings
from latentsync.server.views import (
    CANCELLED,
    COMPLETED,
    QUEUED,
    EstimateView,
    JobRequest,
    JobView,
    ModelView,
    TaskView,
    UploadView,
)


class MadeUpService:
    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.uploads: dict[tuple[str, str], tuple[UploadView, Path]] = {}
        self.made: dict[tuple[str, str], JobView] = {}
        self.requests: dict[str, JobRequest] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.tasks: dict[tuple[str, str], TaskView] = {}
        self.started = self.stopped = False
        self.changed = asyncio.Condition()

    async def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.stopped = True

    async def receive(self, user: str, name: str, chunks: AsyncIterator[bytes]) -> UploadView:
        path = self.settings.root / f"{uuid4().hex}.mp4"
        size = 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.settings.limits.upload:
                        raise ApiError(413, "too_large", "the file is too large; send less")
                    file.write(chunk)
            if not size:
                raise ApiError(422, "empty", "the file is empty; send it again", "file")
        except BaseException:
            path.unlink()
            raise
        view = UploadView(uuid4().hex, name, "video", size, 1.0)
        self.uploads[user, view.id] = view, path
        return view

    async def use(self, user: str, place: str) -> UploadView:
        raise ApiError(422, "invalid", f"no allowed folder: {place}; upload the file", "video")

    def _upload(self, user: str, upload_id: str) -> tuple[UploadView, Path]:
        if (user, upload_id) not in self.uploads:
            raise not_found("upload", upload_id)
        return self.uploads[user, upload_id]

    def upload(self, user: str, upload_id: str) -> UploadView:
        return self._upload(user, upload_id)[0]

    def upload_file(self, user: str, upload_id: str) -> Path:
        return self._upload(user, upload_id)[1]

    async def upload_proxy(self, user: str, upload_id: str) -> Path:
        return self._upload(user, upload_id)[1]

    def delete_upload(self, user: str, upload_id: str) -> None:
        self._upload(user, upload_id)[1].unlink()
        del self.uploads[user, upload_id]

    def _task(self, user: str, kind: str, result: Any) -> TaskView:
        task = TaskView(uuid4().hex, kind, COMPLETED, 100.0, None, None, result)
        self.tasks[user, task.id] = task
        return replace(task, state=QUEUED, result=None)

    def find_people(self, user: str, video: str) -> TaskView:
        self.upload(user, video)
        return self._task(user, "people", [])

    def preview(
        self, user: str, request: JobRequest, seconds: float, restorers: tuple[str, ...]
    ) -> TaskView:
        self.upload(user, request.video)
        return self._task(user, "preview", {"seconds": seconds})

    def estimate(self, user: str, request: JobRequest) -> TaskView:
        self.upload(user, request.video)
        return self._task(user, "estimate", EstimateView(1.0, 25, (), (5, 5)))

    def fetch(self, user: str, keys: tuple[str, ...], accept: tuple[str, ...]) -> TaskView:
        return self._task(user, "fetch", self.models())

    def task(self, user: str, task_id: str) -> TaskView:
        if (user, task_id) not in self.tasks:
            raise not_found("task", task_id)
        return self.tasks[user, task_id]

    async def finished(self, user: str, task_id: str, wait: float) -> TaskView:
        return self.task(user, task_id)

    def task_file(self, user: str, task_id: str, name: str) -> Path:
        self.task(user, task_id)
        raise not_found("file", name)

    async def create(
        self,
        user: str,
        request: JobRequest,
        *,
        client_id: str | None = None,
        key: str | None = None,
    ) -> tuple[JobView, bool]:
        known = self.keys.get((user, client_id or key or ""))
        if known is not None:
            return self.made[user, known], False
        for upload in filter(None, (request.video, request.audio, request.reference)):
            self.upload(user, upload)
        view = _job(request)
        self.made[user, view.id] = view
        self.requests[view.id] = request
        self.keys[user, client_id or key or view.id] = view.id
        return view, True

    def jobs(
        self, user: str, *, limit: int = 20, after: str | None = None, state: str | None = None
    ) -> tuple[list[JobView], bool]:
        views = [view for (name, _), view in reversed(self.made.items()) if name == user]
        views = [view for view in views if state in (None, view.state)]
        if after is not None:
            ids = [view.id for view in views]
            if after not in ids:
                raise not_found("job", after)
            views = views[ids.index(after) + 1 :]
        return views[:limit], len(views) > limit

    def job(self, user: str, job_id: str) -> JobView:
        if (user, job_id) not in self.made:
            raise not_found("job", job_id)
        return self.made[user, job_id]

    async def events(self, user: str, job_id: str) -> AsyncIterator[JobView]:
        while True:
            view = self.job(user, job_id)
            yield view
            if view.ended:
                return
            await asyncio.sleep(0.01)

    def end(self, user: str, job_id: str, state: str) -> JobView:
        view = replace(self.job(user, job_id), state=state, position=None, progress=100.0)
        self.made[user, job_id] = view
        return view

    def cancel(self, user: str, job_id: str) -> JobView:
        if self.job(user, job_id).ended:
            raise ApiError(409, "ended", "the job has ended already; retry it")
        return self.end(user, job_id, CANCELLED)

    def retry(self, user: str, job_id: str) -> JobView:
        if not self.job(user, job_id).ended:
            raise ApiError(409, "not_ended", "the job has not ended; cancel it first")
        return self.end(user, job_id, QUEUED)

    def delete(self, user: str, job_id: str) -> None:
        self.job(user, job_id)
        del self.made[user, job_id]

    def public(self, text: str) -> str:
        return text.replace(f"{self.settings.root}/", "")

    def job_file(self, user: str, job_id: str, what: str) -> Path:
        if what not in ("video", "source"):
            raise not_found("file", what)
        return self.upload_file(user, self.job(user, job_id).video)

    def models(self) -> list[ModelView]:
        return [ModelView("GFPGAN", "restorer", False, 1, "Apache-2.0", None, True, False, None)]

    def health(self) -> dict[str, object]:
        return {"status": "ok", "queued": 0}

    def metrics(self) -> str:
        return "latentsync_jobs 0\n"


def _job(request: JobRequest) -> JobView:
    job_id = uuid4().hex
    return JobView(
        id=job_id,
        name=request.name or "job",
        state=QUEUED,
        progress=0.0,
        stage=None,
        position=0,
        seconds_left=None,
        created_at=time.time(),
        started_at=None,
        completed_at=None,
        expires_at=None,
        frames=None,
        error=None,
        verdict=None,
        figures=None,
        settings=dict(request.settings),
        video=request.video,
        audio=request.audio,
        reference=request.reference,
        speaker=request.speaker,
        links={"self": f"/v1/jobs/{job_id}"},
    )
