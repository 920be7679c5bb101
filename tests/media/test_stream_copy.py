"""An unchanged video stream is copied bit for bit, or not at all."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import NewAudio
from latentsync.media.stream_copy import NotCopiedError, copied_video
from latentsync.media.target import check_target
from tests.support.copying import QUICK, files_in
from tests.support.dubbing import write_wav
from tests.support.media_factory import Tone, audio_packets, make_video, moving_pattern, pts_of

UNEVEN = [0, 40, 45, 120, 160, 330, 331, 400, 480, 520]  # ms
QUARTER_TURN = (0, 1, -1, 0)
B_FRAMES = {"bf": "2", "preset": "medium", "crf": "30"}


def copy(source: Path, target: Path, seconds: Sequence[float] | None = None) -> list[str]:
    """seconds: of the frames to be shown; None: all of the source's."""
    info = probe(source)
    shown = [f.pts_seconds for f in VideoReader(info)] if seconds is None else seconds
    plan = check_target(target, info, QUICK)
    with copied_video(
        target, info, QUICK, plan, seconds=np.array(shown), step=lambda: None
    ) as notes:
        assert not target.exists(), "it is renamed once complete"
    return notes


def payloads(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def assert_same_frames(one: Path, other: Path) -> None:
    for a, b in zip(VideoReader(one), VideoReader(other), strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


def steps_of(path: Path) -> list[Fraction]:
    times = pts_of(path)
    return [time - times[0] for time in times]


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
@pytest.mark.parametrize("kind", [".mp4", ".mkv"])
def test_packets_times_and_audio_are_the_source_s_own(tmp_path: Path, kind, suffix) -> None:
    source = make_video(
        tmp_path / f"a{kind}",
        time_base=Fraction(1, 1000),
        pts=UNEVEN,
        options=B_FRAMES,
        audio=[Tone(0.5, metadata={"language": "fra"})],
        metadata={"title": "a day"},
        chapters=[("all of it", 0, 1)],
    )
    target = tmp_path / f"b{suffix}"
    assert copy(source, target) == []
    assert payloads(target) == payloads(source)
    assert [data for _, data in audio_packets(target)] == [d for _, d in audio_packets(source)]
    assert steps_of(target) == steps_of(source)
    late = [audio_packets(path)[0][0] - pts_of(path)[0] for path in (source, target)]
    assert abs(late[0] - late[1]) < Fraction(1, 500), "audio and video stay in sync"
    assert_same_frames(source, target)
    made = probe(target)
    assert made.file_metadata["title"] == "a day" and len(made.chapters) == 1
    assert files_in(tmp_path) == {source.name, target.name}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_rotation_colours_and_pixel_shape_are_kept(tmp_path: Path, suffix: str) -> None:
    source = make_video(
        tmp_path / "a.mp4",
        turn=QUARTER_TURN,
        pixel_shape=Fraction(4, 3),
        colors={"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1},
        options={"preset": "ultrafast"},
    )
    target = tmp_path / f"b{suffix}"
    copy(source, target)
    old, new = probe(source), probe(target)
    assert new.rotation == old.rotation == 90
    assert (new.color, new.sample_aspect_ratio) == (old.color, old.sample_aspect_ratio)
    assert_same_frames(source, target)


def test_new_audio_is_cut_off_where_the_video_ends(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", audio=[Tone(0.4)])
    info, target = probe(source), tmp_path / "b.mp4"
    plan = check_target(target, info, QUICK, NewAudio(write_wav(tmp_path / "c.wav", seconds=2)))
    seconds = np.array([f.pts_seconds for f in VideoReader(info)])
    with copied_video(
        target, info, plan.settings, plan, seconds=seconds, step=lambda: None, end=0.4
    ):
        pass
    assert payloads(target) == payloads(source)
    assert probe(target).audio[0].duration_seconds == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("begin", [0, 2 * 512 + 256])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_video_that_was_cut_within_a_frame_begins_there(
    tmp_path: Path, begin: int, suffix: str
) -> None:
    """begin: ticks; a frame has 512."""
    source = make_video(tmp_path / "a.mp4", options=B_FRAMES)
    data = bytearray(source.read_bytes())
    at = data.index(b"elst") + 12  # after flags and number of entries: length, then begin
    length, first = struct.unpack_from(">Ii", data, at)
    struct.pack_into(">Ii", data, at, length - begin * 1000 // 12800, first + begin)
    source.write_bytes(data)
    target = tmp_path / f"b{suffix}"
    copy(source, target)
    made = target.read_bytes()
    assert made[made.index(b"elst") :][:24] == data[data.index(b"elst") :][:24]
    assert pts_of(target) == pts_of(source)


@pytest.mark.parametrize("kind", [".mkv", ".mp4"])
def test_hevc_has_the_name_that_apple_s_players_take(tmp_path: Path, kind: str) -> None:
    # With B-frames x265 states no usable times for videos as short as this one.
    quick = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}
    tag = "hev1" if kind == ".mp4" else "hvc1"  # what an MP4 states stays
    source = make_video(
        tmp_path / f"a{kind}", moving_pattern(count=2), codec="libx265", options=quick
    )
    copy(source, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == tag


@pytest.mark.parametrize(("pix_fmt", "tag"), [("yuv422p10le", "apcs"), ("yuva444p10le", "ap4h")])
@pytest.mark.parametrize("kinds", [".mov .mov", ".mov .mkv", ".mkv .mov"])
def test_prores_keeps_its_profile(tmp_path: Path, pix_fmt: str, tag: str, kinds: str) -> None:
    first, second = kinds.split()
    options = {"profile": "lt" if tag == "apcs" else "4444"}
    source = make_video(
        tmp_path / f"a{first}",
        moving_pattern(count=2),
        codec="prores_ks",
        pix_fmt=pix_fmt,
        options=options,
    )
    copy(source, tmp_path / f"b{second}")
    for path in (source, tmp_path / f"b{second}"):
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.codec_tag == tag


@pytest.mark.parametrize(
    ("source", "codec", "says"),
    [("a.mkv", "ffv1", "few players"), ("a.avi", "mjpeg", "few players")],
)
def test_what_the_container_should_not_hold_is_not_copied(
    tmp_path: Path, source: str, codec: str, says: str
) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make_video(tmp_path / source, codec=codec, pix_fmt=pix_fmt, options={})
    with pytest.raises(NotCopiedError, match=says):
        copy(path, tmp_path / "b.mp4")
    assert files_in(tmp_path) == {source}


def test_what_the_container_cannot_hold_is_not_copied(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", codec="vp8", options={})
    with pytest.raises(NotCopiedError):
        copy(path, tmp_path / "b.mov")
    assert files_in(tmp_path) == {"a.mkv"}


def test_a_copy_that_would_show_other_frames_is_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", moving_pattern(count=10))
    seconds = [f.pts_seconds for f in VideoReader(source)]
    for wrong in (seconds[1:], [*seconds[:-1], seconds[-1] + 0.01]):
        with pytest.raises(NotCopiedError):
            copy(source, tmp_path / "b.mp4", wrong)
    assert files_in(tmp_path) == {"a.mp4"}


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_older_output(tmp_path: Path, kind) -> None:
    source, target = make_video(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    target.write_bytes(b"old")
    info = probe(source)
    plan = check_target(target, info, QUICK)

    def fails() -> None:
        raise kind

    seconds = np.array([f.pts_seconds for f in VideoReader(info)])
    with pytest.raises(kind), copied_video(target, info, QUICK, plan, seconds=seconds, step=fails):
        pass
    with (
        pytest.raises(kind),
        copied_video(target, info, QUICK, plan, seconds=seconds, step=lambda: None),
    ):
        raise kind
    assert target.read_bytes() == b"old"
    assert files_in(tmp_path) == {"a.mp4", "b.mp4"}
