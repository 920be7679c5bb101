"""The copy for browsers shows the same frames at the same times, upright and in SDR."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from latentsync.curves import rounded_curve
from latentsync.errors import Cancelled, MediaError
from latentsync.media.audio.info import AudioInfo
from latentsync.media.boxes import boxes
from latentsync.media.color import ColorTags
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.proxy import plays_in_browser, write_proxy
from latentsync.media.reader import VideoReader
from tests.support.media_factory import Tone, make_video, moving_pattern, pts_of
from tests.support.rich_files import rich_mkv

PQ = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16}
VFR = [0, 40, 100, 110, 400, 440]  # milliseconds
CLOSE = 6  # 8-bit code values on average: what H.264 at crf 23 loses of the moving pattern


def proxied(source: Path, **options: int) -> Path:
    target = source.with_name("proxy.mp4")
    write_proxy(source, target, **options)
    return target


def first_frame(path: Path) -> np.ndarray:
    return next(iter(VideoReader(path))).pixels


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]


def test_frames_keep_their_times_and_the_audio_becomes_aac(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_video(
        tmp_path / "a.mkv",
        moving_pattern(count=len(VFR)),
        time_base=Fraction(1, 1000),
        pts=VFR,
        codec="ffv1",
        audio=[Tone(seconds=0.5, codec="ac3"), Tone(seconds=0.5, codec="flac")],
    )
    made = proxied(source)
    assert pts_of(made) == pts_of(source)
    info = probe(made)
    assert (info.codec, info.pix_fmt, [one.codec for one in info.audio]) == (
        *("h264", "yuv420p"),
        ["aac"],
    )
    assert plays_in_browser(info) and not plays_in_browser(probe(source))
    assert warnings(caplog) == []


def test_frames_look_as_they_did(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mov", codec="prores_ks", pix_fmt="yuv422p10le", options={})
    deep = first_frame(source)
    assert deep.dtype == np.uint16
    assert difference(first_frame(proxied(source)), deep / 257) < CLOSE


@pytest.mark.parametrize(
    "turn",
    [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)],
    ids=["90", "180", "270", "mirrored", "transposed"],
)
def test_a_turned_video_is_stored_upright(turn: tuple[int, int, int, int], tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", turn=turn)
    made = proxied(source)
    stored = next(av.open(str(made)).decode(video=0)).to_ndarray(format="rgb24")
    assert difference(stored, first_frame(source)) < CLOSE
    assert probe(made).rotation == 0


def test_hdr_becomes_sdr(tmp_path: Path) -> None:
    bright = [np.full((64, 96, 3), value, np.uint8) for value in (60, 110, 148, 180)]
    source = make_video(
        *(tmp_path / "a.mp4", bright),
        codec="libx265",
        pix_fmt="yuv420p10le",
        colors=PQ,
        matrix=9,
        options={"x265-params": "log-level=error:lossless=1"},
    )
    made = proxied(source)
    for deep, shown in zip(VideoReader(source), VideoReader(made), strict=True):
        assert difference(shown.pixels, rounded_curve("smpte2084")[deep.pixels]) < CLOSE / 2
    assert probe(made).color == ColorTags("bt2020nc", "tv", "bt2020", "bt709")


def test_full_range_becomes_limited_range(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "a.mp4",
        full_range=True,
        colors={"color_range": 2},
        pix_fmt="yuv420p10le",
        options={"crf": "4"},
    )
    made = proxied(source)
    assert probe(made).color.range != "pc"
    assert difference(first_frame(made), first_frame(source) / 257) < 3


def test_the_shorter_side_is_limited_and_a_small_video_is_not_enlarged(tmp_path: Path) -> None:
    wide = make_video(tmp_path / "wide.mp4", moving_pattern(width=202, height=100, count=2))
    assert probe(proxied(wide, height=50)).stored_size == (100, 50)
    assert probe(proxied(wide, height=720)).stored_size == (202, 100)
    tall = make_video(tmp_path / "tall.mkv", moving_pattern(51, 101, 2), codec="ffv1")
    made = proxied(tall, height=720)
    assert probe(made).stored_size == (52, 100)
    assert difference(first_frame(made), cv2.resize(first_frame(tall), (52, 100))) < CLOSE


def test_there_is_a_key_frame_every_second_and_the_index_comes_first(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", moving_pattern(count=25), rate=10)
    made = proxied(source)
    with av.open(str(made)) as container:
        keys = [
            float(one.pts * one.time_base) for one in container.demux(video=0) if one.is_keyframe
        ]
    assert keys == [0.0, 1.0, 2.0]
    with made.open("rb") as file:
        kinds = [box.kind for box in boxes(file)]
    assert kinds.index(b"moov") < kinds.index(b"mdat")


def test_it_appears_when_complete_and_not_after_a_stop(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "a.mp4"), tmp_path / "made" / "proxy.mp4"
    seen, shares = [], []

    def stop() -> None:
        seen.append(target.exists())
        if len(seen) == 4:
            raise Cancelled()

    with pytest.raises(Cancelled):
        write_proxy(source, target, check=stop, progress=shares.append)
    assert seen == [False] * 4 and list(target.parent.iterdir()) == []
    assert shares == [0.0, pytest.approx(0.1), pytest.approx(0.2)]


def test_subtitles_attachments_and_tags_stay_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    info = probe(proxied(rich_mkv(tmp_path / "rich.mkv")))
    assert not info.others and not info.chapters and "title" not in info.file_metadata
    assert warnings(caplog) == []


def test_a_picture_has_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    assert plays_in_browser(probe(path))
    with pytest.raises(MediaError, match="show the picture itself"):
        write_proxy(path, tmp_path / "proxy.mp4")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    path = tmp_path_factory.mktemp("usual") / "a.mp4"
    return probe(make_video(path, options={"qp": "20"}, audio=[Tone(seconds=0.2)]))


WEBM = "matroska,webm"


@pytest.mark.parametrize(
    ("changed", "plays"),
    [
        ({}, True),
        ({"path": Path("a.mov")}, True),
        ({"codec": "hevc"}, False),
        ({"codec": "prores", "pix_fmt": "yuv422p10le", "bit_depth": 10}, False),
        ({"bit_depth": 10, "pix_fmt": "yuv420p10le"}, False),
        ({"pix_fmt": "yuv422p"}, False),
        ({"codec": "av1", "bit_depth": 10, "pix_fmt": "yuv420p10le"}, True),
        ({"format_name": WEBM, "path": Path("a.mkv")}, False),
        ({"format_name": WEBM, "path": Path("a.mkv"), "codec": "vp9"}, False),
        ({"format_name": WEBM, "path": Path("a.webm"), "codec": "vp9"}, True),
        ({"format_name": WEBM, "path": Path("a.webm"), "codec": "vp8"}, True),
        ({"codec": "vp8"}, False),
        ({"format_name": "avi", "path": Path("a.avi")}, False),
        ({"color": ColorTags("bt2020nc", "tv", "bt2020", "smpte2084"), "codec": "av1"}, False),
    ],
    ids=lambda value: str(value)[:60],
)
def test_browsers_play_what_they_decode(
    usual: VideoInfo, changed: dict[str, object], plays: bool
) -> None:
    assert plays_in_browser(replace(usual, **changed)) is plays  # type: ignore[arg-type]


def test_browsers_play_no_video_whose_audio_they_do_not_decode(usual: VideoInfo) -> None:
    def with_audio(*codecs: str) -> tuple[AudioInfo, ...]:
        return tuple(replace(usual.audio[0], codec=codec) for codec in codecs)

    assert not plays_in_browser(replace(usual, audio=with_audio("pcm_s16le")))
    assert plays_in_browser(replace(usual, audio=with_audio("aac", "pcm_s16le")))
    assert plays_in_browser(replace(usual, audio=()))
