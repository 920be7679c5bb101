"""The service as a whole: light, restarted in the middle of jobs, and its folders by user."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from latentsync.server.files.folders import folder_name, shown_name
from latentsync.server.jobs import ordering
from latentsync.server.quick import generators, weights
from latentsync.server.views import QUEUED, JobRequest
from tests.support.serving import (
    ANNA,
    BEN,
    StandIn,
    given,
    queued,
    refused,
    serving,
    small_video,
    until,
)


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "missing_weights", lambda _config, *, speech: [])


def test_the_servers_process_loads_neither_torch_nor_openvino() -> None:
    code = (
        "import sys, latentsync.server.service;"
        "print([name for name in ('torch', 'openvino', 'gradio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_restart_goes_on_with_unfinished_jobs_and_a_stop_drains(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
        engine = StandIn()
        async with serving(tmp_path, engine, grace=7) as service:
            assert engine.wakes == 1
            assert service.job(ANNA, job.id) == job
            assert service.upload(ANNA, job.video)
        assert engine.drained == 7
        service_without_work = StandIn()
        async with serving(tmp_path / "two", service_without_work):
            pass
        assert service_without_work.wakes == 0

    asyncio.run(run())


def test_what_was_killed_before_it_was_queued_was_never_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            asked = JobRequest(await given(service, small_video(tmp_path)))
            with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):

                def kill(*_: object) -> None:
                    raise KeyboardInterrupt

                killed.setattr(ordering.Orders, "_queue", kill)
                service._orders.create(ordering.Order(ANNA, asked, key="k"))
        async with serving(tmp_path) as service:
            assert service.jobs(ANNA) == ([], False)
            job, new = await service.create(ANNA, asked, key="k")
            assert new and job.state == QUEUED
            folder = tmp_path / "server" / "users" / "anna" / "jobs"
            await until(lambda: [path.name for path in folder.iterdir()] == [job.id])

    asyncio.run(run())


def test_a_user_has_a_folder_of_a_safe_name_that_nobody_else_has() -> None:
    assert folder_name("anna-1") == "anna-1"
    odd = ["Anna", "ANNA", "..", "", "a/b", "a b", "ä", "x" * 33, "a\0b", "\ud800"]
    found = [folder_name(user) for user in odd]
    assert len(set(found)) == len(odd)
    assert all(name.startswith("u-") and name.isascii() and "/" not in name for name in found)
    assert folder_name(found[0]) != found[0]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.mp4", "a.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a b.mp4", "a b.mp4"),
        ("a\r\nX-Header: 1\x00\u202e.mp4", "a X-Header: 1 .mp4"),
        ("x" * 500, "x" * 200),
        ("///", "file"),
        ("", "file"),
    ],
)
def test_a_name_is_shown_without_what_cannot_be_seen(name: str, shown: str) -> None:
    assert shown_name(name, "file") == shown


def test_health_and_metrics_count_what_there_is(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            await queued(service, tmp_path)
            job = await queued(service, tmp_path, BEN)
            service.cancel(BEN, job.id)
            health = service.health()
            assert (health["status"], health["unfinished"]) == ("ok", 1)
            lines = service.metrics().splitlines()
            assert 'latentsync_jobs{state="queued"} 1' in lines
            assert 'latentsync_jobs{state="cancelled"} 1' in lines
            assert 'latentsync_jobs{state="failed"} 0' in lines
            assert "latentsync_uploads 2" in lines

    asyncio.run(run())


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            service.records.tables.run("pragma max_page_count = 1")
            with refused(507, "records", "disk"):
                for _ in range(50):
                    await given(service, small_video(tmp_path))

    asyncio.run(run())


def test_damaged_records_are_said(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.sqlite").write_bytes(b"no database" * 1000)

    async def run() -> None:
        async with serving(tmp_path):
            pass

    with refused(500, "records", "server.sqlite; move it away"):
        asyncio.run(run())


def test_restorers_can_be_chosen_the_default_first(tmp_path: Path) -> None:
    assert weights.restorers() == ["Detail", "Self", "GFPGAN", "CodeFormer", "none"]
    assert [name for name, _ in generators.generators()] == ["latentsync", "musetalk", "replay"]
    assert ("replay", "Replay: the video's own mouths, in a new order; needs no weights") in (
        generators.generators()
    )
    assert {one.key for one in weights.models()} >= {"GFPGANv1.4", "CodeFormer", "LatentSync 1.6"}
