"""latentsync.media.reader: videos that are cut off, damaged or concatenated."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from latentsync.media.reader import VideoReader
from tests.support.media_factory import corrupt, cut, make_video, moving_pattern

FAST = {"preset": "ultrafast", "g": "10"}


def long_video(path: Path, **options: object) -> Path:
    return make_video(path, moving_pattern(count=100), options=FAST, **options)  # type: ignore[arg-type]


def test_an_intact_video_has_no_issues(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.ts", "a.avi"):
        reader = VideoReader(long_video(tmp_path / name))
        assert len(list(reader)) == 100 and reader.issues is None, name


def test_a_cut_mp4_yields_its_frames_and_reports_the_cut(tmp_path: Path) -> None:
    video = long_video(tmp_path / "a.mp4", muxer_options={"movflags": "faststart"})
    reader = VideoReader(cut(video, 0.6))
    frames = len(list(reader))
    assert 40 <= frames <= 70
    assert reader.issues is not None and f"{100 - frames} frames" in reader.issues
    (end,) = re.findall(r"ends at (.*) s", reader.issues)
    assert float(end) == pytest.approx(frames / 25, abs=0.05)


def test_a_cut_mkv_yields_its_frames_and_reports_the_cut(tmp_path: Path) -> None:
    reader = VideoReader(cut(long_video(tmp_path / "a.mkv"), 0.6))
    assert 40 <= len(list(reader)) <= 70
    assert reader.issues is not None and "cut off" in reader.issues and "4.00 s" in reader.issues


def test_a_cut_ts_yields_its_frames(tmp_path: Path) -> None:
    # A transport stream states no length, so that a shorter one has no issue.
    assert 40 <= len(list(VideoReader(cut(long_video(tmp_path / "a.ts"), 0.6)))) <= 70


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_frames_after_a_damaged_spot_are_still_read(tmp_path: Path, suffix: str) -> None:
    reader = VideoReader(corrupt(long_video(tmp_path / f"a{suffix}"), 0.5))
    frames = list(reader)
    assert 80 <= len(frames) <= 100
    assert frames[-1].pts_seconds == pytest.approx(99 / 25, abs=0.05)
    assert reader.issues is not None and " s" in reader.issues


def test_issues_are_reset_when_reading_again(tmp_path: Path) -> None:
    video = long_video(tmp_path / "a.mp4", muxer_options={"movflags": "faststart"})
    reader = VideoReader(corrupt(video, 0.5))
    list(reader)
    first = reader.issues
    list(reader)
    assert first and reader.issues == first


def test_a_video_that_changes_size_and_time_is_scaled_to_its_first_size(tmp_path: Path) -> None:
    one = make_video(tmp_path / "1.ts", moving_pattern(96, 64, 40), options=FAST)
    two = make_video(tmp_path / "2.ts", moving_pattern(64, 48, 40), options=FAST)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    reader = VideoReader(joined)
    frames = list(reader)
    assert {f.pixels.shape for f in frames} == {(64, 96, 3)} and len(frames) >= 78
    steps = np.diff([f.pts for f in frames])
    assert (steps > 0).all() and np.median(steps) == 3600  # 90 kHz / 25
    assert reader.issues is not None
    assert "64x48" in reader.issues and "time stamp" in reader.issues
