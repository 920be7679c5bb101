"""What gradio may do with files on behalf of the page: nothing but take what it has received."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

gradio = pytest.importorskip("gradio", reason="gradio is not installed")

from gradio import processing_utils  # noqa: E402  after the check

from latentsync.server.page.mount import take_received_files_only  # noqa: E402


@pytest.mark.parametrize("kind", ["File", "Audio", "HTML"])
def test_no_url_and_no_other_file_is_read_in_place_of_what_was_received(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    read: list[str] = []

    async def download(url: str, **_: object) -> str:
        read.append(url)
        return str(tmp_path / "file")

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", download)
    with gradio.Blocks() as blocks:
        made = getattr(gradio, kind)()
    other, folder = tmp_path / "other.mp4", tmp_path / "page"
    other.write_bytes(b"frames")
    folder.mkdir()
    (folder / "link.mp4").symlink_to(other)
    take_received_files_only(blocks, folder)
    for place in (
        *("http://media.example/v.mp4", "HTTPS://media.example/v.mp4", str(other)),
        *(str(folder / "link.mp4"), f"{folder}/../other.mp4", "page/a.mp4"),
    ):
        named = {"path": place, "meta": {"_type": "gradio.FileData"}}
        with pytest.raises(ValueError, match="no file that was received"):
            asyncio.run(processing_utils.async_move_files_to_cache(named, made))
    assert read == []
