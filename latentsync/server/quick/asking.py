"""What users ask the engine's process for: people, previews, estimates, weights and proxies."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from latentsync.errors import LatentSyncError
from latentsync.media.probe import probe
from latentsync.media.proxy import plays_in_browser
from latentsync.server.engine import Engine
from latentsync.server.errors import ApiError
from latentsync.server.files.folders import ServerFiles, new_id
from latentsync.server.files.uploads import Uploads
from latentsync.server.jobs.configuring import Configured, configure
from latentsync.server.jobs.states import PROXY as PROXY_NAME
from latentsync.server.quick.task_results import (
    error_view,
    estimate_of,
    models_of,
    people_of,
    preview_of,
)
from latentsync.server.quick.tasks import QuickWork
from latentsync.server.quick.weights import check_fetch, restorers
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest, TaskView
from latentsync.server.work.messages import ESTIMATE, FETCH, PEOPLE, PREVIEW, PROXY

logger = logging.getLogger(__name__)


class Asking:
    """Used from the server's event loop, which the settings of a request take some milliseconds."""

    def __init__(
        self,
        settings: ServerSettings,
        files: ServerFiles,
        uploads: Uploads,
        quick: QuickWork,
        engine: Engine,
    ) -> None:
        self._settings, self._files = settings, files
        self._uploads, self._quick, self._engine = uploads, quick, engine
        self._proxies: dict[str, Future[dict[str, Any]]] = {}
        self._copying: set[asyncio.Task[None]] = set()

    def people(self, user: str, video: str) -> TaskView:
        task_id = new_id()
        made = self._configured(user, JobRequest(video), task_id)
        return self._quick.start(user, PEOPLE, _plain(made), people_of, task_id)

    def preview(
        self, user: str, request: JobRequest, seconds: float, names: tuple[str, ...]
    ) -> TaskView:
        if not math.isfinite(seconds) or seconds < 0:
            raise ApiError(422, "seconds", f"seconds: {seconds}; use a number from 0", "seconds")
        for name in names:
            if name not in restorers():
                message = f"restorers: {name}; use some of {', '.join(restorers())}"
                raise ApiError(422, "restorers", message, "restorers")
        task_id = new_id()
        made = self._configured(user, request, task_id)
        arguments = {**_plain(made), "seconds": seconds, "restorers": list(dict.fromkeys(names))}
        return self._quick.start(user, PREVIEW, arguments, preview_of, task_id)

    def estimate(self, user: str, request: JobRequest) -> TaskView:
        task_id = new_id()
        made = self._configured(user, request, task_id)
        return self._quick.start(
            user,
            ESTIMATE,
            _plain(made),
            lambda result, _url: estimate_of(result, made.note),
            task_id,
        )

    def fetch(self, user: str, keys: tuple[str, ...], accept: tuple[str, ...]) -> TaskView:
        check_fetch(keys, accept, offline=self._settings.offline)
        arguments = {"keys": list(keys), "accept": list(accept)}
        return self._quick.start(user, FETCH, arguments, models_of, new_id())

    async def proxy(self, user: str, upload_id: str) -> Path:
        """See Service.upload_proxy. Who asks meanwhile waits for the same copy."""
        given = self._uploads.given(user, upload_id)
        if given.view.plays:
            return given.path
        return await self.copy_for_browsers(given.path, self._uploads.folder(given.record))

    async def copy_for_browsers(self, video: Path, folder: Path) -> Path:
        """Raises ApiError (422) where it cannot be made."""
        copy = folder / PROXY_NAME
        if copy.is_file():
            return copy
        future = self._proxies.get(str(folder))
        if future is None:
            arguments = {"video": str(video)}
            future = self._engine.submit(PROXY, arguments, folder, lambda _share, _stage: None)
            self._proxies[str(folder)] = future
            future.add_done_callback(lambda _future: self._proxies.pop(str(folder), None))
        try:
            result = await asyncio.shield(asyncio.wrap_future(future))
        except ApiError:
            raise
        except Exception as error:
            found = error_view(error, self._files.public)
            raise ApiError(422, found.code, found.message) from error
        return folder / result["file"]

    def copy_result(self, video: Path) -> None:
        """Makes a copy of a finished job's video in the background, if browsers need one; it is
        beside the video when it is complete."""

        async def copy() -> None:
            try:
                if not plays_in_browser(await asyncio.to_thread(probe, video)):
                    await self.copy_for_browsers(video, video.parent)
            except LatentSyncError as error:
                logger.warning("no copy for browsers of %s: %s", video, error)

        task = asyncio.create_task(copy())
        self._copying.add(task)
        task.add_done_callback(self._copying.discard)

    def _configured(self, user: str, request: JobRequest, task_id: str) -> Configured:
        """As a job, whose output would be in the folder of the task."""
        files = self._uploads.files_of(user, request)
        return configure(request, files, self._files.task(user, task_id), self._settings)


def _plain(made: Configured) -> dict[str, Any]:
    return {"config": dataclasses.asdict(made.config)}
