"""What the server does, without HTTP: the routes of the API and the page call this, nothing else.

Every call names the user, and answers only about what is that user's: for anybody else it does not
exist (404). Errors are ApiError, worded as the command words them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from latentsync.server.settings import ServerSettings
from latentsync.server.views import (
    JobRequest,
    JobView,
    ModelView,
    TaskView,
    UploadView,
)

LOCAL = "local"
"""The one user of a server that demands no token."""


class Service:
    """One for a server; used from its event loop. Calls that are not async take milliseconds."""

    def __init__(self, settings: ServerSettings) -> None: ...

    async def start(self) -> None:
        """Goes on with unfinished jobs; the engine's process is started when it has work."""

    async def stop(self) -> None:
        """Drains: no new work; the segment at hand is finished within settings.grace seconds."""

    # files that users give
    async def receive(self, user: str, name: str, chunks: AsyncIterator[bytes]) -> UploadView: ...
    async def take(self, user: str, name: str, path: Path) -> UploadView:
        """A file of this machine that the server has received already: it is moved."""

    async def use(self, user: str, place: str) -> UploadView:
        """A path below an allowed folder, or an https URL."""

    def upload(self, user: str, upload_id: str) -> UploadView: ...
    def upload_file(self, user: str, upload_id: str) -> Path: ...
    async def upload_proxy(self, user: str, upload_id: str) -> Path:
        """An H.264 copy that every browser plays; the file itself where that plays."""

    def delete_upload(self, user: str, upload_id: str) -> None: ...
    async def demo(self, user: str) -> tuple[UploadView, UploadView]:
        """The demo clip and its speech, as if they had been uploaded."""

    # work that somebody waits for
    def find_people(self, user: str, video: str) -> TaskView:
        """result: list of PersonView."""

    def preview(
        self, user: str, request: JobRequest, seconds: float, restorers: tuple[str, ...]
    ) -> TaskView:
        """result: PreviewView. restorers: none, Detail, Self, GFPGAN, CodeFormer; empty: that of
        the settings."""

    def estimate(self, user: str, request: JobRequest) -> TaskView:
        """result: EstimateView."""

    def fetch(self, user: str, keys: tuple[str, ...], accept: tuple[str, ...]) -> TaskView:
        """Fetches weights; accept: names of licences. result: list of ModelView."""

    def task(self, user: str, task_id: str) -> TaskView: ...
    async def finished(self, user: str, task_id: str, wait: float) -> TaskView:
        """The task once it has ended, or as it is after that many seconds."""

    def task_file(self, user: str, task_id: str, name: str) -> Path:
        """A picture of its result."""

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

    def jobs(
        self, user: str, *, limit: int = 20, after: str | None = None, state: str | None = None
    ) -> tuple[list[JobView], bool]:
        """Newest first; and whether there are more."""

    def job(self, user: str, job_id: str) -> JobView: ...
    def events(self, user: str, job_id: str) -> AsyncIterator[JobView]:
        """The job now, and whenever something has changed, until it has ended."""

    def cancel(self, user: str, job_id: str) -> JobView: ...
    def retry(self, user: str, job_id: str) -> JobView: ...
    def delete(self, user: str, job_id: str) -> None:
        """With its files; a job that is worked on is cancelled first."""

    def job_file(self, user: str, job_id: str, what: str) -> Path:
        """what: video, source, report, evaluation, page, settings, proxy."""

    # what there is
    def models(self) -> list[ModelView]: ...
    def restorers(self) -> list[str]:
        """Names that can be chosen, best first; those without weights included."""

    def health(self) -> dict[str, object]: ...
    def metrics(self) -> str:
        """In the text format of Prometheus."""
