"""What encoding a frame costs is measured without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.estimate.encoding import encoding_cost
from latentsync.media.reader import VideoReader
from latentsync.pipeline.job import checked
from latentsync.settings.load import load_config
from tests.support.rich_files import rich_mkv


def test_what_becomes_of_other_streams_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = rich_mkv(tmp_path / "a.mkv")
    settings = [f"input.video={source}", f"output.path={tmp_path / 'b.mp4'}"]
    job = checked(load_config(None, settings))
    encoding_cost(job, [next(iter(VideoReader(source)))])
    assert caplog.text.count("converted to mov_text") == 1
