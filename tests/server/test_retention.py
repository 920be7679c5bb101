"""What is no longer kept goes, and nothing else: only the server's own files, by their ids."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from latentsync.server.files import retention
from latentsync.server.quick import weights
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest
from tests.support.serving import (
    ANNA,
    finish,
    given,
    queued,
    refused,
    serving,
    small_video,
    store_of,
    until,
)

HOURS = 3600.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_SOON", 0.02)
    monkeypatch.setattr(weights, "missing_weights", lambda _config, *, speech: [])


def later(service: Service, hours: float) -> None:
    """The server's clock is that many hours ahead."""
    service._retention._clock = lambda: time.time() + hours * HOURS


def names(root: Path, kind: str) -> set[str]:
    return {path.name for path in (root / "server").glob(f"users/*/{kind}/*")}


def test_jobs_that_have_ended_lose_their_files_after_their_time_and_uploads_with_them(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with serving(tmp_path, keep_hours=2) as service:
            done, waiting = [await queued(service, tmp_path) for _ in range(2)]
            unused = await given(service, small_video(tmp_path))
            finish(service, done)
            later(service, 1.9)
            service._retention.sweep()
            assert names(tmp_path, "jobs") == {done.id, waiting.id}
            assert names(tmp_path, "uploads") == {done.video, waiting.video, unused}
            later(service, 2.1)
            service._retention.sweep()
            assert names(tmp_path, "jobs") == {waiting.id}
            service._retention.sweep()  # its upload is free now
            assert names(tmp_path, "uploads") == {waiting.video}
            with refused(404, "not_found"):
                service.job(ANNA, done.id)
            with store_of(service) as store:
                assert [job.id for job in store.jobs()] == [waiting.id]
            assert not service.settings.jobs.folder(done.id).exists()
            assert service.job(ANNA, waiting.id).video == waiting.video

    asyncio.run(run())


def test_nothing_expires_where_all_is_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, keep_hours=0) as service:
            done = await queued(service, tmp_path)
            finish(service, done)
            later(service, 1e6)
            service._retention.sweep()
            assert service.job(ANNA, done.id).expires_at is None
            assert names(tmp_path, "uploads") == {done.video}

    asyncio.run(run())


def test_a_file_that_was_named_by_its_path_is_never_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    video = small_video(folder)

    async def run() -> None:
        async with serving(tmp_path, keep_hours=1, folders=(folder,)) as service:
            view = await service.use(ANNA, str(video))
            job, _ = await service.create(ANNA, JobRequest(view.id))
            finish(service, job)
            later(service, 2)
            service._retention.sweep()
            service._retention.sweep()
            with refused(404, "not_found"):
                service.upload(ANNA, view.id)
            view = await service.use(ANNA, str(video))
            service.delete_upload(ANNA, view.id)
            assert video.exists()

    asyncio.run(run())


def test_a_deleted_job_keeps_its_files_while_a_worker_writes_them(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
            with store_of(service) as store:
                task = store.lease("one", [job.id])
                assert task is not None
                service.delete(ANNA, job.id)
                with refused(404, "not_found"):
                    service.job(ANNA, job.id)
                assert not store.renew(task, "one")  # so the worker stops
                await asyncio.sleep(0.1)
                assert names(tmp_path, "jobs") == {job.id}
                store.bury("one")
            await until(lambda: names(tmp_path, "jobs") == set())

    asyncio.run(run())


def test_folders_that_no_record_names_go_when_they_are_old(tmp_path: Path) -> None:
    def stray(settings: ServerSettings, name: str, hours: float) -> Path:
        path = settings.root / "users" / "anna" / "uploads" / name
        path.mkdir(parents=True)
        (path / "part").write_bytes(b"half")
        os.utime(path, (time.time() - hours * HOURS,) * 2)
        return path

    async def run() -> None:
        async with serving(tmp_path) as service:
            kept = await given(service, small_video(tmp_path))
            old, new, foreign = (
                stray(service.settings, name, hours)
                for name, hours in (("a" * 32, 3), ("b" * 32, 1), ("notes", 9))
            )
            service._retention.sweep()
            assert [path.exists() for path in (old, new, foreign)] == [False, True, True]
            assert service.upload(ANNA, kept)

    asyncio.run(run())


def test_a_link_in_a_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"")

    async def run() -> None:
        async with serving(tmp_path) as service:
            upload = await given(service, small_video(tmp_path))
            (service.upload_file(ANNA, upload).parent / "link").symlink_to(outside)
            service.delete_upload(ANNA, upload)
            assert (outside / "file").exists() and names(tmp_path, "uploads") == set()

    asyncio.run(run())


def test_a_failure_does_not_end_the_sweeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
            works: list[Callable[[], None]] = [service._retention.remove_deleted]

            def once() -> None:
                monkeypatch.setattr(service._retention, "remove_deleted", works[0])
                raise OSError("the disk was away")

            monkeypatch.setattr(service._retention, "remove_deleted", once)
            service.delete(ANNA, job.id)
            await until(lambda: names(tmp_path, "jobs") == set())

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "ends"), [(OSError("the disk is full"), False), (KeyError(), True)]
)
def test_what_a_disk_refuses_is_tried_again_and_any_other_end_of_it_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog, error: Exception, ends: bool
) -> None:
    tried = []

    def fail(_retention: retention.Retention) -> None:
        tried.append(1)
        raise error

    monkeypatch.setattr(retention.Retention, "remove_deleted", fail)

    async def run() -> None:
        async with serving(tmp_path):
            await until(lambda: len(tried) > 2 or (ends and bool(caplog.records)))

    asyncio.run(run())
    said = "background work of the server has ended" if ends else "could not be deleted"
    assert said in caplog.text and (len(tried) == 1) == ends
