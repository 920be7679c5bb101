"""News of jobs: whoever waits for them is told, with one look at the store for all."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from latentsync.server.jobs import watching
from latentsync.server.quick import weights
from latentsync.server.service import Service
from latentsync.server.views import CANCELLED, COMPLETED, IN_PROGRESS, QUEUED, JobView
from tests.support.serving import ANNA, BEN, finish, queued, refused, serving, store_of, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY", 0.02)
    monkeypatch.setattr(weights, "missing_weights", lambda _config, *, speech: [])


async def listen(service: Service, job: JobView, seen: list[JobView]) -> None:
    async for view in service.events(ANNA, job.id):
        seen.append(view)


def test_events_are_the_job_now_and_every_change_until_its_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job, seen = await queued(service, tmp_path), list[JobView]()

            listening = asyncio.create_task(listen(service, job, seen))
            await until(lambda: seen)
            with store_of(service) as store:
                task = store.lease("one", [job.id])
                assert task is not None
                await until(lambda: seen[-1].state == IN_PROGRESS)
                store.released(task)
            finish(service, job)
            await asyncio.wait_for(listening, 5)
            assert seen[0] == job and seen[-1].state == COMPLETED
            assert all(one != other for one, other in itertools.pairwise(seen))
            assert [view async for view in service.events(ANNA, job.id)] == [seen[-1]]
            with refused(404, "not_found"):
                await anext(service.events(BEN, job.id))

    asyncio.run(run())


def test_events_end_when_the_job_is_deleted(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
            listening = service.events(ANNA, job.id)
            assert (await anext(listening)).state == QUEUED
            service.delete(ANNA, job.id)
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(anext(listening), 5)

    asyncio.run(run())


def test_events_end_with_the_server(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job, seen = await queued(service, tmp_path), list[JobView]()

            listening = asyncio.create_task(listen(service, job, seen))
            await until(lambda: seen)
        await asyncio.wait_for(listening, 5)
        assert [view.state for view in seen] == [QUEUED]

    asyncio.run(run())


def test_two_hundred_listeners_cost_one_look_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job, ended = await queued(service, tmp_path), list[str]()

            async def listen() -> None:
                async for view in service.events(ANNA, job.id):
                    if view.ended:
                        ended.append(view.state)

            all_of_them = [asyncio.create_task(listen()) for _ in range(200)]
            await until(lambda: service._watch._listeners[job.id] == 200)
            looks, views = 0, service._desk.views

            def counted(records: Any) -> Any:
                nonlocal looks
                looks += 1
                return views(records)

            monkeypatch.setattr(service._desk, "views", counted)
            begin = time.monotonic()
            await asyncio.sleep(0.1)
            most = (time.monotonic() - begin) / watching.EVERY + 1
            assert 1 <= looks <= most
            service.cancel(ANNA, job.id)
            await asyncio.wait_for(asyncio.gather(*all_of_them), 10)
            assert ended == [CANCELLED] * 200
            assert service._watch._listeners == {} and service._watch._latest == {}

    asyncio.run(run())


def test_nobody_looks_while_nothing_is_unfinished(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            looks, look = 0, service._watch.look_once

            async def counted() -> bool:
                nonlocal looks
                looks += 1
                return await look()

            service._watch.look_once = counted  # type: ignore[method-assign]
            job = await queued(service, tmp_path)
            await until(lambda: looks > 2)
            service.cancel(ANNA, job.id)
            async with asyncio.timeout(10):
                before = 0
                while looks != before:
                    before = looks
                    await asyncio.sleep(0.2)

    asyncio.run(run())


def test_an_end_is_told_once_and_again_after_another_try_even_if_the_server_was_away(
    tmp_path: Path,
) -> None:
    told = list[str]()

    async def note(_record: Any, view: JobView) -> None:
        told.append(view.state)

    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
            service._watch._ended = note
            service.cancel(ANNA, job.id)
            await until(lambda: told)
            await until(lambda: service.records.untold() == [])
            await service._watch.look_once()
            assert told == [CANCELLED]
            service.retry(ANNA, job.id)
            await asyncio.sleep(0.1)
            assert told == [CANCELLED]
            service._watch._ended = None  # type: ignore[assignment]  it ends while nobody looks
        async with serving(tmp_path) as service:
            service._watch._ended = note
            finish(service, job)
            await until(lambda: len(told) == 2)
            await asyncio.sleep(0.1)
            assert told == [CANCELLED, COMPLETED]

    asyncio.run(run())
