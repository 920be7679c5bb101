"""The Python client against a real server, whose engine is a stand-in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from latentsync import client as client_module
from latentsync.client import Client, Job, ServerError
from latentsync.server.http.app import create_app
from latentsync.server.http.listening import bind
from latentsync.server.service import Service
from latentsync.server.settings import Limits, ServerSettings
from tests.support.made_up_service import MadeUpService
from tests.support.served import TOKEN
from tests.support.serving import StandIn, small_audio, small_video


@contextmanager
def running(service: Any, settings: ServerSettings) -> Iterator[str]:
    """The URL of a server in a thread of its own."""
    listener = bind("127.0.0.1", 0)
    app = create_app(service, settings)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    """A client of the service as it is, and a folder."""
    folder = tmp_path_factory.mktemp("real")
    settings = ServerSettings(
        root=folder / "server", token=TOKEN, page=False, limits=Limits(disk=0)
    )
    with (
        running(Service(settings, StandIn()), settings) as url,
        Client(url, token=TOKEN) as client,
    ):
        yield client, folder


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, MadeUpService]]:
    settings = ServerSettings(root=tmp_path_factory.mktemp("made_up"), page=False)
    service = MadeUpService(settings)
    with running(service, settings) as url:
        yield url, service


@pytest.fixture
def made_up(one_server: tuple[str, MadeUpService]) -> Iterator[tuple[Client, MadeUpService]]:
    """A client of a service that does no work, and has no jobs."""
    url, service = one_server
    service.made.clear()
    with Client(url) as client:
        yield client, service


def test_a_job_is_made_of_files_found_and_cancelled(real: tuple[Client, Path]) -> None:
    client, folder = real
    video, audio = small_video(folder, "Grüße #1?.mp4"), small_audio(folder)
    asked = {"audio": audio, "name": "clip", "restore": {"name": "none"}, "key": "k-1"}
    job = client.create(video, generate__seed=7, **asked)  # type: ignore[arg-type]
    assert (job.name, job.state) == ("clip", "queued")
    assert job.everything["settings"] == {"generate.seed": 7, "restore.name": "none"}
    again = client.create(video, generate__seed=7, **asked)  # type: ignore[arg-type]
    assert again.id == job.id  # although the files have been sent twice
    assert [one.id for one in client.jobs()] == [job.id]
    source = client.download(job.id, folder / "got.mp4", "source")
    assert source.read_bytes() == video.read_bytes()
    ended = client.cancel(job.id)
    assert ended.ended
    assert client.wait(job.id).state == "cancelled"
    assert client.retry(job.id).state == "queued"
    client.delete(job.id)
    assert list(client.jobs()) == []


def test_what_the_server_refuses_is_an_error_with_its_words(
    real: tuple[Client, Path], tmp_path: Path
) -> None:
    client, _ = real
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    with pytest.raises(ServerError, match="not a video") as caught:
        client.create(text)
    assert (caught.value.status, caught.value.code) == (422, "unreadable")
    with pytest.raises(ServerError) as caught:
        client.create("0" * 32)
    assert (caught.value.status, caught.value.field) == (404, "video")
    with pytest.raises(ServerError) as caught, Client(str(client._http.base_url)) as nobody:
        nobody.models()
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")


def test_what_comes_at_once_is_returned(made_up: tuple[Client, MadeUpService]) -> None:
    client, service = made_up
    video = _upload(client, service)
    assert client.people(video) == []
    assert client.preview(video, seconds=0.5) == {"seconds": 0.5}
    assert [model["key"] for model in client.models()] == ["GFPGAN"]


def test_progress_is_told_until_the_job_ends(made_up: tuple[Client, MadeUpService]) -> None:
    client, service = made_up
    video = client.create(video=_upload(client, service), name="a\u2028b\u0085c")
    seen: list[Job] = []

    def progress(job: Job) -> None:
        seen.append(job)
        if len(seen) == 3:
            service.end("local", job.id, "completed")

    job = client.wait(video.id, progress)
    assert job.state == "completed"
    assert [one.state for one in seen[:3]] == ["queued"] * 3
    assert seen[-1] == job
    assert job.name == "a\u2028b\u0085c"


def test_waiting_goes_on_when_the_connection_breaks(
    made_up: tuple[Client, MadeUpService], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = made_up
    job = client.create(video=_upload(client, service))
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 0.0)
    events, broken = service.events, 0

    def breaking(user: str, job_id: str) -> Any:
        nonlocal broken
        broken += 1
        if broken < 3:
            raise RuntimeError("the server is about to end")
        service.end(user, job_id, "completed")
        return events(user, job_id)

    monkeypatch.setattr(service, "events", breaking)
    monkeypatch.setattr(client_module, "_WORTH_RETRYING", (500,))
    assert client.wait(job.id).state == "completed"
    assert broken == 3


def test_waiting_ends_after_its_time(made_up: tuple[Client, MadeUpService]) -> None:
    client, service = made_up
    job = client.create(video=_upload(client, service))
    with pytest.raises(TimeoutError, match=job.id):
        client.wait(job.id, timeout=0.05)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with bind("127.0.0.1", 0) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ServerError, match="no answer from") as caught, Client(url) as client:
        client.models()
    assert (caught.value.status, caught.value.code) == (0, "no_answer")


def test_a_download_that_breaks_leaves_no_file(
    made_up: tuple[Client, MadeUpService], tmp_path: Path
) -> None:
    client, service = made_up
    job = client.create(video=_upload(client, service))
    with pytest.raises(ServerError):
        client.download(job.id, tmp_path / "out.json", "report")
    target = tmp_path / "out.mp4"
    client.download(job.id, target)
    assert target.read_bytes() == b"frames"
    assert not list(tmp_path.glob(".out*"))


def _upload(client: Client, service: MadeUpService) -> str:
    path = service.settings.root / "clip.mp4"
    path.write_bytes(b"frames")
    return client.upload(path)
