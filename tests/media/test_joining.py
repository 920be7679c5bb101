"""Joined segments are the video that one encoder would have made: times, order, header."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.media.joining import join_segments
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.segment_file import Segment, SegmentWriter
from latentsync.media.settings import EncodeSettings
from latentsync.media.target import OutputPlan, check_target
from latentsync.media.writer import VideoWriter
from latentsync.tone import sdr
from tests.support.media_factory import make_video, moving_pattern

COUNT = 30
ENCODERS = [("libx264", ".mp4"), ("libx265", ".mp4"), ("libsvtav1", ".mkv"), ("prores_ks", ".mov")]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("source") / "in.mp4", moving_pattern(count=COUNT))


def settings(codec: str) -> EncodeSettings:
    return EncodeSettings(codec, 18, "fast", "source", roi_offset=0, audio="auto")


def segments_of(source: Path, target: Path, codec: str, *borders: int):
    """The source's frames in segments, with what is needed to join them."""
    info = probe(source)
    size = info.width, info.height
    plan = check_target(target, info, settings(codec), None, size=size)
    frames, made = list(VideoReader(info)), []
    for number, (first, after) in enumerate(zip((0, *borders), (*borders, COUNT), strict=True)):
        path = target.parent / f"{target.stem}{number}.seg"
        with SegmentWriter(path, info, plan.settings, size=size) as writer:
            for frame in frames[first:after]:
                writer.write_converted(writer.convert(frame))
        made.append(writer.segment)
    return made, np.array([frame.pts for frame in frames]), plan


def joined(source: Path, target: Path, made: list[Segment], pts: np.ndarray, plan: OutputPlan):
    info = probe(source)
    return join_segments(target, info, made, pts, size=(info.width, info.height), plan=plan)


def shown(path: Path) -> list[tuple]:
    """When each frame is shown, and how long."""
    with av.open(str(path)) as container:
        return sorted((p.pts, p.duration) for p in container.demux(video=0) if p.size)


def decoded(path: Path) -> list[int | None]:
    """When each packet is decoded; Matroska does not say it of the first."""
    with av.open(str(path)) as container:
        return [p.dts for p in container.demux(video=0) if p.size]


def header(path: Path) -> tuple:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.time_base, stream.codec_context.extradata, stream.codec_context.codec_tag


@pytest.mark.parametrize(("codec", "suffix"), ENCODERS)
def test_times_and_header_are_those_of_the_video_encoded_in_one_go(
    source: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    target, whole = tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    joined(source, target, *segments_of(source, target, codec, 12, 13))
    info = probe(source)
    with VideoWriter(whole, info, settings(codec)) as writer:
        for frame in VideoReader(info):
            writer.write(frame)
    assert shown(target) == shown(whole)
    assert decoded(target) == decoded(whole)
    assert header(target) == header(whole)
    for made, frame in zip(VideoReader(target), VideoReader(info), strict=True):
        assert np.abs(sdr(made).pixels.astype(int) - frame.pixels).mean() < 4


def test_a_damaged_segment_is_named_and_leaves_no_output(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    made, pts, plan = segments_of(source, target, "libx264", 12)
    made[1].path.write_bytes(made[1].path.read_bytes()[:2000])
    with pytest.raises(MediaError, match=r"out1\.seg"):
        joined(source, target, made, pts, plan)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".seg"]


def test_a_segment_of_other_settings_is_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    made, pts, plan = segments_of(source, target, "libx264", 12)
    other, *_ = segments_of(source, tmp_path / "other.mp4", "libx265", 12)
    with pytest.raises(MediaError, match="other settings"):
        joined(source, target, [made[0], other[1]], pts, plan)
    assert not target.exists()


def test_a_missing_frame_is_noticed_before_anything_is_written(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    made, pts, plan = segments_of(source, target, "libx264", 12)
    with pytest.raises(MediaError, match="12 of 30 frames"):
        joined(source, target, made[:1], pts, plan)
