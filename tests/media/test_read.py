"""latentsync.media: probe and reader on many kinds of file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from latentsync.errors import MediaError
from latentsync.media.color import ColorTags, ToRgb
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from tests.support.media_factory import (
    Tone,
    cut,
    flat_patches,
    make_audio,
    make_video,
    moving_pattern,
    pts_of,
)

PATCHES = [(200, 40, 40), (40, 180, 60), (30, 60, 200), (128, 128, 128), (235, 235, 235)]
MATRICES = {"bt709": 1, "smpte170m": 6, "bt470bg": 5, "bt2020nc": 9}
SCALER = {
    "bt709": Colorspace.ITU709,
    "smpte170m": Colorspace.ITU601,
    "bt470bg": Colorspace.ITU601,
    "bt2020nc": 9,
}
FAST = {"preset": "ultrafast", "g": "10"}


def centres(pixels: np.ndarray, side: int = 32) -> np.ndarray:
    """The colour in the middle of each patch, far from its edges."""
    return pixels[side // 2, side // 2 :: side].astype(int)


def message(error: pytest.ExceptionInfo[MediaError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# --- probe ---


def test_probe_reports_size_rate_length_and_audio(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", audio=[Tone(0.5), Tone(0.4, rate=48000)])
    info = probe(video)
    assert (info.width, info.height, info.average_rate, info.frame_count) == (96, 64, 25, 10)
    assert info.duration_seconds == pytest.approx(0.4)
    assert (info.codec, info.pix_fmt, info.bit_depth) == ("h264", "yuv420p", 8)
    assert [(a.codec, a.sample_rate, a.channels) for a in info.audio] == [
        ("aac", 44100, 2),
        ("aac", 48000, 2),
    ]
    assert info.dropped == ()


def test_probe_keeps_1001_rates_exact(tmp_path: Path) -> None:
    rate = Fraction(24000, 1001)
    assert probe(make_video(tmp_path / "a.mov", rate=rate)).average_rate == rate


def test_a_video_without_tags_is_reported_as_such(tmp_path: Path) -> None:
    assert probe(make_video(tmp_path / "a.mp4")).color == ColorTags()


def test_subtitles_are_named_as_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    make_video(path)
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as output:
        video = output.add_stream_from_template(source.streams.video[0])
        output.add_attachment("font.ttf", "font/ttf", b"1234")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                output.mux(packet)
    (dropped,) = probe(tmp_path / "b.mkv").dropped
    assert "attachment" in dropped and "font.ttf" in dropped


# --- not a video ---


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "folder"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("Dear diary,\n" * 50), "not a video"),
        (lambda path: path.write_bytes(bytes(range(256)) * 40), "not a video"),
        (make_audio, "no video"),
        (lambda path: cut(make_video(path), 0.5), "moov"),
    ],
    ids=["missing", "folder", "empty", "text", "noise", "audio only", "cut before its index"],
)
def test_a_file_that_is_not_a_video_is_refused_in_one_line(tmp_path: Path, make, says: str) -> None:
    path = tmp_path / "input.mp4"
    make(path)
    with pytest.raises(MediaError) as error:
        probe(path)
    assert says in message(error) and str(path) in message(error)


def test_a_text_file_is_not_a_video_even_though_ffmpeg_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary,\n" * 50)
    with pytest.raises(MediaError, match="not a video"):
        probe(path)


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(MediaError, match="codec"):
        probe(path)


def test_a_video_without_one_good_frame_is_refused(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mkv", moving_pattern(count=1))
    data = video.read_bytes()
    start = data.index(b"\x1f\x43\xb6\x75") + 40  # well inside the first cluster
    video.write_bytes(data[:start] + b"\xff" * (len(data) - start))
    with pytest.raises(MediaError, match="decoded"):
        probe(video)


@pytest.mark.parametrize(
    "name", ["a b.mp4", 'it\'s "x";.mp4', "ünïcødé 嘴.mp4", "-dash.mp4", "a:b.mp4"]
)
def test_odd_file_names_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(Path(name), moving_pattern(count=2))
    assert len(list(VideoReader(name))) == 2


# --- frames ---


def test_lossless_frames_are_read_unchanged(tmp_path: Path) -> None:
    given = list(moving_pattern(128, 96))
    video = make_video(tmp_path / "a.mkv", given, pix_fmt="yuv444p")
    for expected, frame in zip(given, VideoReader(video), strict=True):
        assert frame.pixels.flags["C_CONTIGUOUS"] and frame.pixels.dtype == np.uint8
        # 8-bit YUV cannot hold every RGB colour: one code value of YUV is up to two of RGB
        assert np.abs(frame.pixels.astype(int) - expected).max() <= 2


def test_a_reader_can_be_read_twice_and_in_part(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", time_base=Fraction(1, 12800), pts=range(0, 5120, 512))
    reader = VideoReader(video)
    assert [f.index for f in reader] == [f.index for f in reader] == list(range(10))
    part = list(VideoReader(video, start=3, stop=5))
    assert [(f.index, f.pts, f.pts_seconds) for f in part] == [(3, 1536, 0.12), (4, 2048, 0.16)]
    whole = list(reader)
    assert np.array_equal(part[0].pixels, whole[3].pixels)


def test_a_video_of_one_frame_is_a_video(tmp_path: Path) -> None:
    (frame,) = VideoReader(make_video(tmp_path / "a.mp4", moving_pattern(count=1)))
    assert (frame.index, frame.pts) == (0, 0)


def test_b_frames_come_in_order_of_presentation(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", moving_pattern(count=30), options={"preset": "medium"})
    seconds = [f.pts_seconds for f in VideoReader(video)]
    assert seconds == [float(s) for s in sorted(pts_of(video))] and len(seconds) == 30


def test_variable_frame_times_are_exact(tmp_path: Path) -> None:
    pts = [0, 40, 55, 140, 141, 300, 333, 500, 510, 1000]
    video = make_video(tmp_path / "a.mkv", time_base=Fraction(1, 1000), pts=pts)
    reader = VideoReader(video)
    assert [f.pts * reader.info.time_base * 1000 for f in reader] == pts
    assert reader.issues is None


@pytest.mark.parametrize("size", [(97, 64), (96, 65), (31, 33)])
def test_odd_sizes_are_read_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    video = make_video(tmp_path / "a.mkv", moving_pattern(width, height), codec="ffv1")
    assert {f.pixels.shape for f in VideoReader(video)} == {(height, width, 3)}


def test_mpeg_ts_counts_from_its_first_stream(tmp_path: Path) -> None:
    late = {"output_ts_offset": "10"}
    video = make_video(tmp_path / "a.ts", options=FAST, audio=[Tone(0.5)], muxer_options=late)
    reader = VideoReader(video)
    first = next(iter(reader))
    assert reader.info.origin > 9
    assert first.pts_seconds < 0.1 and reader.info.audio[0].start < 0.1
    assert first.pts_seconds == pytest.approx(float(pts_of(video)[0] - reader.info.origin))


# --- orientation ---

TURNS = {
    "90": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "180": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "270": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "0": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
}


@pytest.mark.parametrize("degrees", TURNS)
def test_frames_are_upright(tmp_path: Path, degrees: str) -> None:
    turn, by_hand = TURNS[degrees]
    lying = VideoReader(make_video(tmp_path / "lying.mp4"))
    turned = VideoReader(make_video(tmp_path / "turned.mp4", turn=turn))
    assert turned.info.rotation == int(degrees)
    for stored, frame in zip(lying, turned, strict=True):
        assert np.array_equal(frame.pixels, by_hand(stored.pixels))
        assert frame.pixels.shape == (turned.info.height, turned.info.width, 3)
        assert frame.pixels.flags["C_CONTIGUOUS"]


# --- colour ---


@pytest.mark.parametrize("full", [False, True], ids=["tv", "pc"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_tagged_colours_are_decoded_by_their_tags(tmp_path: Path, matrix: str, full: bool) -> None:
    tags = {"colorspace": MATRICES[matrix], "color_range": 2 if full else 1}
    video = make_video(
        tmp_path / "a.mp4",
        [flat_patches(PATCHES)] * 2,
        colors=tags,
        matrix=SCALER[matrix],
        full_range=full,
    )
    reader = VideoReader(video)
    assert (reader.info.color.matrix, reader.info.color.range) == (matrix, "pc" if full else "tv")
    # rounding to 8-bit YUV and back; the wrong matrix is 20 code values off, the wrong range 15
    assert np.abs(centres(next(iter(reader)).pixels) - PATCHES).max() <= 2


@pytest.mark.parametrize(("height", "matrix"), [(32, Colorspace.ITU601), (720, Colorspace.ITU709)])
def test_untagged_colours_are_decoded_as_players_do(
    tmp_path: Path, height: int, matrix: int
) -> None:
    pixels = np.resize(flat_patches(PATCHES), (height, 160, 3))
    frame = next(iter(VideoReader(make_video(tmp_path / "a.mp4", [pixels], matrix=matrix))))
    assert np.abs(centres(frame.pixels) - PATCHES).max() <= 2


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p", "yuv444p", "gbrp"])
def test_other_pixel_formats_show_the_same_pixels(tmp_path: Path, pix_fmt: str) -> None:
    codec = "ffv1" if pix_fmt == "gbrp" else "libx264"
    video = make_video(
        tmp_path / "a.mkv",
        [flat_patches(PATCHES)],
        codec=codec,
        pix_fmt="bgr0" if pix_fmt == "gbrp" else pix_fmt,
    )
    reader = VideoReader(video)
    assert reader.info.bit_depth == (10 if "10" in pix_fmt else 8)
    pixels = next(iter(reader)).pixels
    assert pixels.dtype == (np.uint16 if "10" in pix_fmt else np.uint8)
    levels = centres(pixels) / (257 if "10" in pix_fmt else 1)
    assert np.abs(levels - PATCHES).max() <= 2


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_video_is_detected(tmp_path: Path, order: str) -> None:
    info = probe(make_video(tmp_path / "a.mp4", fields=order))
    assert info.interlaced and info.field_order == order


def test_frames_before_the_start_are_decoded_and_not_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", moving_pattern(count=30), options={"bf": "3"})
    all_frames = list(VideoReader(path))
    converted = []
    real = ToRgb.__call__

    def counting(self, frame, width, height):
        converted.append(frame.pts)
        return real(self, frame, width, height)

    monkeypatch.setattr(ToRgb, "__call__", counting)
    for found, expected in zip(
        VideoReader(path, start=20, stop=25), all_frames[20:25], strict=True
    ):
        assert (found.index, found.pts) == (expected.index, expected.pts)
        assert np.array_equal(found.pixels, expected.pixels)
    assert len(converted) == 5
