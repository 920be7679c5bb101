"""Uploads: what is kept of a file is what it is, not what it says, and within the limits."""

from __future__ import annotations

import asyncio
import io
import threading
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from latentsync.server.files import uploads
from latentsync.server.settings import Limits
from tests.support.media_factory import make_video, moving_pattern
from tests.support.pictures import encoded, smooth
from tests.support.serving import (
    ANNA,
    BEN,
    StandIn,
    chunks,
    given,
    refused,
    serving,
    small_audio,
    small_video,
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small_video(tmp_path_factory.mktemp("video")).read_bytes()


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_what_it_holds_whatever_its_name(tmp_path: Path, video: bytes) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            view = await service.receive(ANNA, "../../etc/<i>x</i>\n.wav", chunks(video, 100))
            assert (view.kind, view.name, view.bytes) == ("video", "i> .wav", len(video))
            assert (view.width, view.height, view.has_audio, view.plays) == (96, 64, True, True)
            path = service.upload_file(ANNA, view.id)
            assert path.name == "file.mp4" and path.read_bytes() == video
            assert service.upload(ANNA, view.id) == view
            png = await service.receive(ANNA, "a.mp4", chunks(encoded(smooth(), "PNG")))
            assert (png.kind, service.upload_file(ANNA, png.id).suffix) == ("picture", ".png")
            wav = await service.receive(ANNA, "b.mp4", chunks(small_audio(tmp_path).read_bytes()))
            assert (wav.kind, wav.seconds) == ("audio", 0.5)

    asyncio.run(run())


def test_an_upload_is_nobody_elses(tmp_path: Path, video: bytes) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            view = await service.receive(ANNA, "a.mp4", chunks(video))
            for call in (service.upload, service.upload_file, service.delete_upload):
                with refused(404, "not_found"):
                    call(BEN, view.id)
            with refused(404, "not_found"):
                service.upload(ANNA, "../" + view.id)
            service.delete_upload(ANNA, view.id)
            with refused(404, "not_found"):
                service.upload(ANNA, view.id)
            assert "file.mp4" not in files_below(tmp_path)

    asyncio.run(run())


def test_what_is_no_media_is_refused_in_one_sentence_and_not_kept(
    tmp_path: Path, video: bytes
) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("clip.mp4", video)
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"

    async def run() -> None:
        async with serving(tmp_path) as service:
            for content, words in (
                (zipped.getvalue(), "not a video"),
                (playlist, "it is a text"),
                (b"ffconcat version 1.0\nfile /etc/passwd\n", "it is a text"),
                (video[: len(video) // 2], "clip.mp4"),
            ):
                with refused(422, "unreadable", words):
                    await service.receive(ANNA, "clip.mp4", chunks(content))
            with refused(422, "empty"):
                await service.receive(ANNA, "clip.mp4", chunks(b""))
            assert files_below(tmp_path / "server" / "users") == []

    asyncio.run(run())


def test_messages_name_no_folder_of_the_server(tmp_path: Path, video: bytes) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            with refused(422, "unreadable", "clip.mp4") as error:
                await service.receive(ANNA, "clip.mp4", chunks(video[:500]))
            assert str(tmp_path) not in str(error.value)

    asyncio.run(run())


def test_an_upload_has_its_limits(tmp_path: Path, video: bytes) -> None:
    received = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal received
        while True:
            received += 1000
            yield bytes(1000)

    async def silent() -> AsyncIterator[bytes]:
        yield video[:100]
        await asyncio.sleep(60)

    async def run() -> None:
        limits = Limits(disk=0, upload=len(video), upload_seconds=0.05)
        async with serving(tmp_path, limits=limits) as service:
            with refused(413, "too_large"):
                await service.receive(ANNA, "a.mp4", endless())
            assert received <= len(video) + 1000
            with refused(408, "timeout"):
                await service.receive(ANNA, "a.mp4", silent())
            await service.receive(ANNA, "a.mp4", chunks(video))
        for limits, status, code in (
            (Limits(disk=1 << 60), 507, "disk_full"),
            (Limits(disk=0, seconds=0.1), 422, "too_long"),
            (Limits(disk=0, pixels=96 * 64 - 1), 422, "too_many_pixels"),
        ):
            async with serving(tmp_path / code, limits=limits) as service:
                with refused(status, code):
                    await service.receive(ANNA, "a.mp4", chunks(video))
                assert "part" not in files_below(tmp_path)

    asyncio.run(run())


def test_a_user_has_so_many_uploads_and_those_that_come_in_count(
    tmp_path: Path, video: bytes
) -> None:
    async def run() -> None:
        async with serving(tmp_path, limits=Limits(disk=0, uploads=2)) as service:
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def slow() -> AsyncIterator[bytes]:
                begun.set()
                await go_on.wait()
                yield video

            first = asyncio.create_task(service.receive(ANNA, "a.mp4", slow()))
            await begun.wait()
            await service.receive(ANNA, "b.mp4", chunks(video))
            with refused(429, "too_many_uploads"):
                await service.receive(ANNA, "c.mp4", chunks(video))
            await service.receive(BEN, "c.mp4", chunks(video))
            go_on.set()
            service.delete_upload(ANNA, (await first).id)
            await service.receive(ANNA, "c.mp4", chunks(video))

    asyncio.run(run())


def test_two_files_are_inspected_at_once_and_other_work_goes_on(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect, at_work, go_on = uploads.inspect, threading.Semaphore(0), threading.Event()

    def slow(*values: Any) -> Any:
        at_work.release()
        assert go_on.wait(10)
        return inspect(*values)

    monkeypatch.setattr(uploads, "inspect", slow)

    async def run() -> None:
        async with serving(tmp_path) as service:
            coming = [service.receive(ANNA, "a.mp4", chunks(video)) for _ in range(12)]
            tasks = [asyncio.create_task(one) for one in coming]
            assert await asyncio.to_thread(at_work.acquire, timeout=5)
            assert await asyncio.to_thread(at_work.acquire, timeout=5)
            assert not await asyncio.to_thread(at_work.acquire, timeout=0.2)
            go_on.set()
            await asyncio.gather(*tasks)

    asyncio.run(run())


def test_what_the_server_has_received_already_is_moved(tmp_path: Path, video: bytes) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            path = tmp_path / "received"
            path.write_bytes(video)
            view = await service.take(ANNA, "my.mp4", path)
            assert not path.exists() and view.name == "my.mp4"
            assert service.upload_file(ANNA, view.id).read_bytes() == video

    asyncio.run(run())


def test_the_demo_is_there_once_for_each_user(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            video, speech = await service.demo(ANNA)
            assert (video.kind, speech.kind) == ("video", "audio")
            assert await service.demo(ANNA) == (video, speech)
            assert service.upload_file(ANNA, video.id).is_file()
            with refused(404, "not_found"):
                service.upload(BEN, video.id)

    asyncio.run(run())


def test_a_video_that_browsers_play_needs_no_copy_and_others_are_copied_once(
    tmp_path: Path,
) -> None:
    hevc = make_video(
        tmp_path / "a.mp4", moving_pattern(count=3), codec="libx265", pix_fmt="yuv420p10le"
    )

    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            plain = await given(service, small_video(tmp_path))
            assert await service.upload_proxy(ANNA, plain) == service.upload_file(ANNA, plain)
            deep = await given(service, hevc)
            assert not service.upload(ANNA, deep).plays
            both = [asyncio.create_task(service.upload_proxy(ANNA, deep)) for _ in range(2)]
            await asyncio.sleep(0.05)
            (asked,) = engine.asked
            assert asked.arguments == {"video": str(service.upload_file(ANNA, deep))}
            (asked.folder / "proxy.mp4").write_bytes(b"copy")
            asked.future.set_result({"file": "proxy.mp4"})
            assert {path.read_bytes() for path in await asyncio.gather(*both)} == {b"copy"}
            await service.upload_proxy(ANNA, deep)
            assert len(engine.asked) == 1

    asyncio.run(run())
