"""The service of a server on a folder of its own, with a stand-in for the engine's process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from latentsync.errors import Cancelled
from latentsync.jobs.rows import JOIN, PLAN
from latentsync.jobs.store import Store
from latentsync.server.errors import ApiError
from latentsync.server.service import Service
from latentsync.server.settings import Limits, ServerSettings
from latentsync.server.views import JobRequest, JobView
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern

ANNA, BEN = "anna", "Ben <b>"


@dataclass
class Asked:
    """What the engine was asked for."""

    kind: str
    arguments: dict[str, Any]
    folder: Path
    progress: Callable[[float, str], None]
    future: Future[dict[str, Any]] = field(default_factory=Future)


@dataclass
class StandIn:
    """An engine that does nothing by itself: a test answers for it."""

    asked: list[Asked] = field(default_factory=list)
    wakes: int = 0
    drained: float | None = None

    def submit(
        self,
        kind: str,
        arguments: dict[str, Any],
        folder: Path,
        progress: Callable[[float, str], None],
    ) -> Future[dict[str, Any]]:
        self.asked.append(Asked(kind, arguments, folder, progress))
        return self.asked[-1].future

    def cancel(self, future: Future[dict[str, Any]]) -> None:
        future.set_exception(Cancelled("the request"))

    def wake(self) -> None:
        self.wakes += 1

    def drain(self, grace: float) -> None:
        self.drained = grace


@asynccontextmanager
async def serving(
    root: Path, engine: StandIn | None = None, limits: Limits | None = None, **settings: Any
) -> AsyncIterator[Service]:
    limits = limits or Limits(disk=0)
    made = ServerSettings(root=root / "server", limits=limits, **settings)
    service = Service(made, engine or StandIn())
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def chunks(content: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for first in range(0, len(content), size):
        yield content[first : first + size]


async def given(service: Service, path: Path, user: str = ANNA) -> str:
    """The id of an upload of that file."""
    return (await service.receive(user, path.name, chunks(path.read_bytes()))).id


async def queued(service: Service, folder: Path, user: str = ANNA, **more: Any) -> JobView:
    video = await given(service, small_video(folder), user)
    return (await service.create(user, JobRequest(video, **more)))[0]


def small_video(folder: Path, name: str = "clip.mp4", **more: Any) -> Path:
    return make_video(folder / name, moving_pattern(count=5), audio=[Tone(0.2)], **more)


def small_audio(folder: Path) -> Path:
    return make_audio(folder / "speech.wav", Tone(0.5, codec="pcm_s16le"))


@contextmanager
def store_of(service: Service) -> Iterator[Store]:
    """As a worker opens it."""
    store = Store(service.settings.jobs.store)
    try:
        yield store
    finally:
        store.close()


def finish(service: Service, job: JobView) -> Path:
    """As a worker would; returns the result."""
    with store_of(service) as store:
        plan = store.lease("one", [job.id])
        assert plan is not None and plan.kind == PLAN
        store.planned(plan, [])
        join = store.lease("one", [job.id])
        assert join is not None and join.kind == JOIN
        output = Path(join.job.output)
        output.write_bytes(b"result")
        store.finished(join)
    return output


@contextmanager
def refused(
    status: int, code: str, words: str = "", field: str | None = None
) -> Iterator[pytest.ExceptionInfo[ApiError]]:
    """words: a part of the message."""
    with pytest.raises(ApiError) as error:
        yield error
    found = error.value
    assert (found.status, found.code) == (status, code), found
    assert words in found.message
    if field is not None:
        assert found.field == field


async def until(holds: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)
