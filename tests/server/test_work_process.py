"""The engine's process: previews go before jobs, and nothing is lost with the process."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from latentsync.errors import Cancelled
from latentsync.jobs.places import open_store
from latentsync.jobs.rows import DONE, RUNNING, JobRow
from latentsync.jobs.store import Store
from latentsync.jobs.worker import Worker
from latentsync.media.reader import VideoReader
from latentsync.server.errors import ApiError
from latentsync.server.settings import ServerSettings
from latentsync.server.work import process
from latentsync.server.work.messages import PREVIEW
from latentsync.server.work.process import EngineProcess
from latentsync.settings.load import load_config
from tests.support.media_factory import make_video
from tests.support.sessions import ASSETS

FRAMES = 10
SLOW = "restore.name=tests.support.slow_restorer:load"
QUICK = ("face.occlusion=off", "restore.when=always", "weights.offline=true", "restore.batch=1")


def until(happens: Callable[[], object], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    """A job that takes some seconds waits."""
    frames = [frame.pixels for frame in VideoReader(ASSETS / "demo_lipsynced.mp4", stop=FRAMES)]
    video = make_video(tmp_path / "video.mp4", frames)
    made = ServerSettings(root=tmp_path / "root", offline=True)
    store = open_store(made.jobs)
    store.add("job", "a job", str(tmp_path / "out.mp4"), config(video, SLOW))
    made.jobs.write(store.job("job"))
    store.close()
    return made


def config(video: Path, *more: str) -> dict[str, Any]:
    flags = {"input.video": str(video), "output.path": str(video.with_name("out.mp4"))}
    return dataclasses.asdict(load_config(None, [*QUICK, *more], flags=flags))


def running(store: Store) -> list[tuple[str, int]]:
    """Kind of each attempt that has not ended, and the process that works on it."""
    attempts = [one for one in store.attempts("job") if one["ended"] is None]
    return [(one["kind"], int(one["owner"].split(":")[1])) for one in attempts]


@pytest.fixture
def engine(settings: ServerSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    monkeypatch.setattr(process, "BACK_OFF", (0.1, 1.0))
    made = EngineProcess(settings)
    yield made
    made.kill()


def test_a_preview_goes_before_a_job_and_a_process_that_is_killed_costs_no_job(
    engine: EngineProcess, settings: ServerSettings, tmp_path: Path
) -> None:
    store = Store(settings.jobs.store)

    def job() -> JobRow:
        return store.job("job")

    engine.wake()
    until(lambda: job().stage == "restoring" and job().stage_done)
    given = {"config": config(tmp_path / "video.mp4"), "seconds": 0.1, "restorers": ["Detail"]}
    shown = engine.submit(PREVIEW, given, tmp_path / "preview", lambda _share, _stage: None)
    (after,) = shown.result(240)["after"]
    assert (tmp_path / "preview" / after["frame"]).exists()
    assert job().state == RUNNING

    first = engine.pid
    assert first is not None
    lost = engine.submit(PREVIEW, given, tmp_path / "lost", lambda _share, _stage: None)
    os.kill(first, signal.SIGKILL)
    error = lost.exception(240)
    assert isinstance(error, ApiError) and error.status == 503
    assert str(error) == (
        "the engine's process ended while it worked on this: out of memory?; ask again"
    )
    until(lambda: running(store) == [("segment", engine.pid)] and job().stage_done)
    engine.drain(240)  # the segment is finished, and nothing else begun
    assert engine.pid is None
    outcomes = [(one["kind"], one["outcome"]) for one in store.attempts("job")]
    assert outcomes == [("plan", "done"), ("segment", "lost"), ("segment", "done")]
    Worker(settings.jobs, "another").run()
    assert job().state == DONE and (tmp_path / "out.mp4").exists()

    ended = engine.submit(PREVIEW, given, tmp_path / "ended", lambda _share, _stage: None)
    assert isinstance(ended.exception(1), Cancelled)


@pytest.fixture
def child(settings: ServerSettings) -> Iterator[tuple[Any, threading.Thread]]:
    """The parent's end, and what listens at the other one."""
    from latentsync.server.work.child import _Child

    ours, theirs = Pipe()
    made = _Child(settings, theirs)
    thread = threading.Thread(target=made.listen)
    thread.start()
    yield ours, thread
    made._end()
    thread.join(30)


def test_a_process_whose_parent_is_gone_gives_its_job_back_and_ends(
    child: tuple[Any, threading.Thread], settings: ServerSettings
) -> None:
    parent, thread = child
    store = Store(settings.jobs.store)
    until(lambda: store.job("job").state == RUNNING)
    parent.close()
    thread.join(30)
    assert not thread.is_alive()
    task = store.lease("another")
    assert task is not None and task.attempt == 1
