"""The files that users give: received, taken, read from a URL or named by path; and the demo's."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from latentsync.pipeline.compact_json import compact_json
from latentsync.places import shipped_config
from latentsync.server.errors import ApiError, not_found
from latentsync.server.files.folders import ServerFiles, new_id, remove, shown_name
from latentsync.server.files.inspecting import AUDIO, PICTURE, Found, inspect
from latentsync.server.files.receiving import check_room, digest_of, too_large, write_chunks
from latentsync.server.internet.fetching import fetch
from latentsync.server.jobs.job_store import JobStore, open_ids
from latentsync.server.records import Records, UploadRecord
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest, UploadView

DEMO = ("demo_speaker.mp4", "demo_speech.wav")
_NO_NAME = "file"
_RETRY = 60  # seconds after which an upload may have become free
_INSPECTED = 2  # files at once: one may take half a minute, and everything else goes on meanwhile

Write = Callable[[Path], Awaitable[str]]
"""Writes a file that is not there. Returns its name, to be shown."""


@dataclass(frozen=True, slots=True)
class Given:
    """An upload and its file."""

    record: UploadRecord
    path: Path

    @property
    def view(self) -> UploadView:
        return self.record.view


@dataclass(frozen=True, slots=True)
class Files:
    """The uploads of a request. audio, reference: None: none."""

    video: Given
    audio: Given | None = None
    reference: Given | None = None

    @property
    def pictured(self) -> bool:
        return self.video.view.kind == PICTURE

    def check(self) -> None:
        """Raises ApiError (422) for a file that cannot be what it is given as."""
        for one, field in ((self.video, "video"), (self.reference, "reference")):
            if one is not None and one.view.kind == AUDIO:
                message = f"{field}: {one.view.name}; it holds audio only: give a video"
                raise ApiError(422, "kind", message, field)
        if self.audio is not None and not self.audio.view.has_audio:
            message = f"audio: {self.audio.view.name}; there is no audio in it: give speech"
            raise ApiError(422, "kind", message, "audio")


class Uploads:
    """Used from the server's event loop."""

    def __init__(
        self,
        settings: ServerSettings,
        files: ServerFiles,
        records: Records,
        store: JobStore,
    ) -> None:
        self._settings, self._files = settings, files
        self._records, self._store = records, store
        self._coming: Counter[str] = Counter()
        self._inspecting = ThreadPoolExecutor(_INSPECTED, "uploads")

    def close(self) -> None:
        """What is inspected now is waited for by nobody."""
        self._inspecting.shutdown(wait=False, cancel_futures=True)

    async def receive(self, user: str, name: str, chunks: AsyncIterator[bytes]) -> UploadView:
        digest = ""

        async def write(path: Path) -> str:
            nonlocal digest
            digest = await write_chunks(chunks, path, self._settings.limits)
            return name

        return await self._add(user, write, lambda _path: digest)

    async def take(self, user: str, name: str, path: Path) -> UploadView:
        """Moves the file."""

        async def write(target: Path) -> str:
            if path.stat().st_size > self._settings.limits.upload:
                raise too_large(self._settings.limits)
            await asyncio.to_thread(shutil.move, path, target)
            return name

        return await self._add(user, write, digest_of)

    async def use(self, user: str, place: str) -> UploadView:
        if "://" in place:
            return await self._read(user, place)
        path = await asyncio.to_thread(self._allowed, place)
        return await self._refer(user, path)

    async def demo(self, user: str) -> tuple[UploadView, UploadView]:
        video, speech = [await self._refer(user, _demo_folder() / name) for name in DEMO]
        return video, speech

    def given(self, user: str, upload_id: str, field: str | None = None) -> Given:
        """Raises ApiError (404). field: of a request that names the upload."""
        record = self._records.upload(user, upload_id)
        path = None if record is None else self.path_of(record)
        if record is None or path is None:
            error = not_found("upload", upload_id)
            raise ApiError(error.status, error.code, error.message, field)
        return Given(record, path)

    def files_of(self, user: str, request: JobRequest) -> Files:
        """The uploads that a request names. Raises ApiError (404)."""
        others = (("audio", request.audio), ("reference", request.reference))
        found = {
            field: None if upload is None else self.given(user, upload, field)
            for field, upload in others
        }
        return Files(self.given(user, request.video, "video"), found["audio"], found["reference"])

    def path_of(self, record: UploadRecord) -> Path | None:
        """None: it is gone."""
        if record.place is not None:
            path = Path(record.place)
            unmoved = path.is_file() and path.resolve() == path
            may_use = self._may_use(path) or path.parent == _demo_folder()
            return path if unmoved and may_use else None
        folder = self._files.upload(record.user, record.id)
        return next(folder.glob("file.*"), None)

    def folder(self, record: UploadRecord) -> Path:
        """For what is made of it."""
        return self._files.upload(record.user, record.id)

    def delete(self, user: str, upload_id: str) -> None:
        """Raises ApiError: 404, and 409 where an unfinished job needs it."""
        record = self._records.upload(user, upload_id)
        if record is None:
            raise not_found("upload", upload_id)
        if set(self._records.jobs_with(upload_id)) & set(self._store(open_ids)):
            message = f"an unfinished job needs the upload {upload_id}; cancel that job first"
            raise ApiError(409, "in_use", message)
        self.forget(record)

    def forget(self, record: UploadRecord) -> None:
        """A file that was named by path stays."""
        self._records.forget_upload(record.id)
        remove(self.folder(record))

    async def _read(self, user: str, url: str) -> UploadView:
        settings = self._settings

        async def write(path: Path) -> str:
            return await fetch(url, path, settings.limits, offline=settings.offline)

        return await self._add(user, write, digest_of)

    async def _add(self, user: str, write: Write, digest: Callable[[Path], str]) -> UploadView:
        upload_id = new_id()
        folder = self._files.upload(user, upload_id)
        with self._place(user):
            try:
                await asyncio.to_thread(folder.mkdir, parents=True)
                part = folder / "part"
                check_room(part, self._settings.limits)
                name = await write(part)
                return (await self._inspected(self._admit, user, part, name, digest)).view
            except BaseException:
                await asyncio.to_thread(remove, folder)
                raise

    async def _inspected(self, work: Callable[..., Found], *values: object) -> Found:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._inspecting, work, *values)

    def _admit(self, user: str, part: Path, name: str, digest: Callable[[Path], str]) -> Found:
        folder, name = part.parent, shown_name(name, _NO_NAME)
        found = inspect(part, folder.name, name, self._settings.limits)
        contents = digest(part)
        part.replace(folder / f"file{found.suffix}")
        (folder / "about.json").write_text(compact_json(asdict(found.view)), "utf-8")
        self._records.add_upload(user, found.view, digest=contents)
        return found

    async def _refer(self, user: str, path: Path) -> UploadView:
        """A file that stays where it is; the same one again is the same upload."""
        known = self._records.upload_at(user, path)
        digest = _mark(path)
        if known is not None and known.digest == digest:
            return known.view
        with self._place(user):
            limits, upload_id = self._settings.limits, new_id()
            name = shown_name(path.name, _NO_NAME)
            found = await self._inspected(inspect, path, upload_id, name, limits)
            self._records.add_upload(user, found.view, digest=digest, place=path)
            return found.view

    def _allowed(self, place: str) -> Path:
        """The file itself. The same error whatever is outside, there or not."""
        try:
            path = Path(place).resolve(strict=True)
            if self._may_use(path) and Path(place).is_absolute() and path.is_file():
                return path
        except (OSError, ValueError, RuntimeError):
            pass
        message = "no such file in the folders that this server may use; give its absolute path"
        if not self._settings.folders:
            message = "this server uses no files by their path; upload the file"
        raise ApiError(422, "place", message)

    def _may_use(self, path: Path) -> bool:
        """path: without links. The folders of an earlier start do not count."""
        return any(path.is_relative_to(one.resolve()) for one in self._settings.folders)

    @contextmanager
    def _place(self, user: str) -> Iterator[None]:
        """Raises ApiError (429) where the user has too many uploads, those that are just received
        included."""
        most = self._settings.limits.uploads
        if self._count(user) >= most:
            message = f"there are {most} uploads already; delete some, or start jobs with them"
            raise ApiError(429, "too_many_uploads", message, retry_after=_RETRY)
        self._coming[user] += 1
        try:
            yield
        finally:
            self._coming[user] -= 1

    def _count(self, user: str) -> int:
        """Those that no unfinished job has."""
        unfinished = self._store(open_ids)
        return self._records.count_uploads(user, not_of=unfinished) + self._coming[user]


def _demo_folder() -> Path:
    config = shipped_config(Path("demo.yaml"))
    assert config is not None
    return (config.parents[1] / "assets").resolve()


def _mark(path: Path) -> str:
    """Of the state of a file that is not ours: hashing gigabytes at each use takes too long."""
    status = path.stat()
    return f"{path}:{status.st_size}:{status.st_mtime_ns}"
