"""Files that are named by their path: only those of the folders that the server may use."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.serving import (
    ANNA,
    refused,
    serving,
    small_video,
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small_video(tmp_path_factory.mktemp("video")).read_bytes()


def test_a_place_is_a_regular_file_of_an_allowed_folder_and_is_not_copied(
    tmp_path: Path, video: bytes
) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    for folder in (allowed, outside):
        folder.mkdir()
        (folder / "a.mp4").write_bytes(video)
    (allowed / "out.mp4").symlink_to(outside / "a.mp4")
    (allowed / "in.mp4").symlink_to(allowed / "a.mp4")
    (allowed / "folder").symlink_to(outside)
    os.mkfifo(allowed / "pipe.mp4")

    async def run() -> None:
        async with serving(tmp_path, folders=(allowed,)) as service:
            view = await service.use(ANNA, str(allowed / "in.mp4"))
            assert service.upload_file(ANNA, view.id) == (allowed / "a.mp4").resolve()
            assert (await service.use(ANNA, str(allowed / "a.mp4"))).id == view.id
            for place in (
                *("out.mp4", "folder/a.mp4", "../outside/a.mp4", "pipe.mp4", "", "nothing.mp4"),
                "a.mp4\0",
            ):
                with refused(422, "place", "no such file in the folders"):
                    await service.use(ANNA, f"{allowed}/{place}")
            with refused(422, "url"):
                await service.use(ANNA, "http://127.0.0.1/a.mp4")
            (allowed / "a.mp4").unlink()
            (allowed / "a.mp4").symlink_to(outside / "a.mp4")
            with refused(404, "not_found"):  # another file has taken its place
                service.upload_file(ANNA, view.id)
            service.delete_upload(ANNA, view.id)
            assert (outside / "a.mp4").exists() and (allowed / "a.mp4").is_symlink()
        async with serving(tmp_path / "two") as service:
            with refused(422, "place", "uses no files by their path"):
                await service.use(ANNA, str(outside / "a.mp4"))

    asyncio.run(run())


def test_a_place_counts_only_while_its_folder_is_allowed(tmp_path: Path, video: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(video)

    async def run() -> None:
        async with serving(tmp_path / "server", folders=(tmp_path,)) as service:
            view = await service.use(ANNA, str(tmp_path / "a.mp4"))
        async with serving(tmp_path / "server") as service:
            with refused(404, "not_found"):
                service.upload_file(ANNA, view.id)

    asyncio.run(run())


def test_a_place_whose_file_has_changed_is_one_more_upload_once(
    tmp_path: Path, video: bytes
) -> None:
    (tmp_path / "a.mp4").write_bytes(video)

    async def run() -> None:
        async with serving(tmp_path / "server", folders=(tmp_path,)) as service:
            ids = []
            for second in (1, 2, 2):
                os.utime(tmp_path / "a.mp4", (second, second))
                ids.append((await service.use(ANNA, str(tmp_path / "a.mp4"))).id)
            assert ids[0] != ids[1] == ids[2]

    asyncio.run(run())
