"""Files that are made to hurt who opens them: lists of others, and some that take hours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from latentsync.errors import MediaError
from latentsync.media import container
from latentsync.media.audio.source import open_audio
from latentsync.media.container import main_video, open_source
from tests.support.media_factory import Tone, make_video

LISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "list.mp4": "ffconcat version 1.0\nfile {}\n",
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("opened", [open_source, open_audio])
def test_a_list_of_other_files_opens_none_of_them(
    tmp_path: Path, name: str, opened: Callable[[Path], object]
) -> None:
    secret = make_video(tmp_path / "secret.mp4", audio=[Tone()])
    os.utime(secret, (0, secret.stat().st_mtime))  # so that reading it is noticed
    (tmp_path / name).write_text(LISTS[name].format(secret.name))
    with pytest.raises(MediaError):
        opened(tmp_path / name)
    assert secret.stat().st_atime == 0
    assert secret.read_bytes()
    if secret.stat().st_atime == 0:
        pytest.skip("this disk does not say when a file was read")


@pytest.mark.parametrize("box", [b"moov", b"free"])
def test_a_file_of_empty_boxes_is_given_up(
    tmp_path: Path, box: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "OPEN_SECONDS", 0.1)
    path = tmp_path / "boxes.mp4"
    path.write_bytes((b"\0\0\0\x08" + box) * (8 << 17))  # 8 MB: five seconds and more
    begin = time.monotonic()
    with pytest.raises(MediaError):
        main_video(open_source(path), path)
    assert time.monotonic() - begin < 2
