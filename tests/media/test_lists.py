"""A file that lists others opens none of them, whatever its name says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from latentsync.errors import MediaError
from latentsync.media.audio.source import open_audio
from latentsync.media.container import open_source
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
