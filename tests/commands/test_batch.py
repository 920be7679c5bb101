"""Which words after --input are videos, and which are settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.commands.batch import is_batch
from latentsync.commands.inference import build_parser


@pytest.mark.parametrize(
    ("arguments", "videos", "settings"),
    [
        ("--input a.mp4 --output o.mp4", ["a.mp4"], []),
        ("--input a.mp4 --output o.mp4 x.y=1", ["a.mp4"], ["x.y=1"]),
        ("--input a.mp4 x.y=1 --output o.mp4 z=2", ["a.mp4"], ["x.y=1", "z=2"]),
        ("-i a.mp4 b.mp4 -o o/ x.y=1", ["a.mp4", "b.mp4"], ["x.y=1"]),
        ("-o o/ -i a.mp4 x.y=1 b.mp4 z=2", ["a.mp4", "b.mp4"], ["x.y=1", "z=2"]),
        ("-i a.mp4 -i b.mp4 -o o/", ["a.mp4", "b.mp4"], []),
        ("-i take=2.mp4 -o o.mp4", ["take=2.mp4"], []),
        ("-i a.mp4 there=1.mp4 gone=1.mp4 -o o/", ["a.mp4", "there=1.mp4"], ["gone=1.mp4"]),
        ("-i a.mp4 ./gone=1.mp4 -o o/", ["a.mp4", "./gone=1.mp4"], []),
        (f"-i a.mp4 x.y={'long' * 99} -o o.mp4", ["a.mp4"], [f"x.y={'long' * 99}"]),
        ("--video_path=a.mp4 --video-out-path o.mp4", ["a.mp4"], []),
    ],
)
def test_settings_after_the_videos_are_settings_and_files_are_files(
    arguments: str,
    videos: list[str],
    settings: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there=1.mp4").touch()
    options = build_parser().read(arguments.split())
    assert (options.input, options.overrides) == (videos, settings)


@pytest.mark.parametrize(
    ("videos", "output", "several"),
    [
        (["a.mp4"], "o.mp4", False),
        (["a.mp4"], "o", False),
        (["a.mp4"], "o/", True),
        (["a.mp4", "b.mp4"], "o.mp4", True),
        ([], "o/", False),
        ([], None, False),
    ],
)
def test_it_is_the_number_of_videos_or_the_output_s_name_that_asks_for_a_folder(
    videos: list[str], output: str | None, several: bool
) -> None:
    assert is_batch(videos, output) == several
