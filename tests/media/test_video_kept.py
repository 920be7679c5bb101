"""The frames of a video that was read and written: size, colour, shape, fields, rotation."""

from __future__ import annotations

import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.reformatter import Colorspace

from latentsync.media.color import ColorTags
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.writer import VideoWriter
from tests.support.copying import FINE, PATCHES, QUICK, copied, differences
from tests.support.media_factory import (
    flat_patches,
    make_video,
    moving_pattern,
    pts_of,
)

# --- frames ---


def test_an_unedited_video_is_unchanged(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", moving_pattern(192, 128))
    lossless = EncodeSettings(crf=0, preset="ultrafast")
    lost = differences(source, copied(source, tmp_path / "b.mp4", lossless))
    # to RGB and back by the same matrix and range costs rounding only; the edge of the white
    # square, sharper than a camera's, is more than subsampled chroma can hold
    assert lost.mean() < 0.3 and np.quantile(lost, 0.99) <= 3


@pytest.mark.parametrize("full", [False, True], ids=["tv", "pc"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt470bg", "bt2020nc", "unspecified"])
def test_colours_and_tags_survive(tmp_path: Path, matrix: str, full: bool) -> None:
    codes = {"bt709": 1, "smpte170m": 6, "bt470bg": 5, "bt2020nc": 9, "unspecified": 2}
    scaler = {1: Colorspace.ITU709, 9: 9}.get(codes[matrix], Colorspace.ITU601)
    source = make_video(
        tmp_path / "a.mp4",
        [flat_patches(PATCHES)] * 3,
        colors={"colorspace": codes[matrix], "color_range": 2 if full else 1},
        matrix=scaler,
        full_range=full,
    )
    target = copied(source, tmp_path / "b.mp4", FINE)
    assert probe(target).color == probe(source).color
    frame = next(iter(VideoReader(target)))
    # two conversions and an encode at crf 1; a wrong matrix is 20 code values off, a wrong range 15
    assert np.abs(frame.pixels[16, 16::32].astype(int) - PATCHES).max() <= 3


def test_an_untagged_video_stays_untagged(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4")
    for suffix in (".mp4", ".mov", ".mkv"):
        assert probe(copied(source, tmp_path / f"b{suffix}")).color == ColorTags()


def test_primaries_and_transfer_are_carried_over(tmp_path: Path) -> None:
    colors = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 18}
    source = make_video(tmp_path / "a.mp4", colors=colors, pix_fmt="yuv420p10le")
    expected = ColorTags("bt2020nc", "tv", "bt2020", "arib-std-b67")
    for suffix in (".mp4", ".mkv"):
        assert probe(copied(source, tmp_path / f"b{suffix}")).color == expected


def test_an_rgb_video_gets_the_matrix_that_it_is_written_with(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", [flat_patches(PATCHES)], codec="ffv1", pix_fmt="bgr0")
    target = copied(source, tmp_path / "b.mp4", FINE)
    assert probe(target).color.matrix == "smpte170m" and probe(target).color.range == "tv"
    frame = next(iter(VideoReader(target)))
    assert np.abs(frame.pixels[16, 16::32].astype(int) - PATCHES).max() <= 3


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_is_written_upright(tmp_path: Path, degrees: int) -> None:
    turn = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    source = make_video(tmp_path / "a.mp4", turn=turn, pixel_shape=Fraction(4, 3))
    target = copied(source, tmp_path / "b.mp4", FINE)
    info = probe(target)
    assert info.rotation == 0
    assert (info.width, info.height) == ((96, 64) if degrees == 180 else (64, 96))
    assert info.sample_aspect_ratio == (Fraction(4, 3) if degrees == 180 else Fraction(3, 4))
    assert differences(source, target).mean() < 2  # upside down it is 60


@pytest.mark.parametrize(
    ("size", "padding"), [((97, 64), (1, 0)), ((96, 65), (0, 1)), ((97, 65), (1, 1))]
)
def test_odd_sizes_are_padded_by_the_edge_with_a_warning(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    size: tuple[int, int],
    padding: tuple[int, int],
) -> None:
    source = make_video(tmp_path / "a.mkv", moving_pattern(*size), codec="ffv1")
    reader = VideoReader(source)
    with VideoWriter(tmp_path / "b.mp4", reader.info, FINE) as writer:
        for frame in reader:
            writer.write(frame)
    assert writer.padding == padding
    assert any("must be even" in r.message and r.levelno == logging.WARNING for r in caplog.records)
    width, height = size
    for before, after in zip(reader, VideoReader(tmp_path / "b.mp4"), strict=True):
        assert after.pixels.shape == (height + padding[1], width + padding[0], 3)
        inside = after.pixels[: height - 1, : width - 1].astype(int)
        assert np.abs(inside - before.pixels[: height - 1, : width - 1]).mean() < 4


def test_an_odd_size_needs_no_padding_without_subsampled_chroma(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", moving_pattern(97, 65), codec="ffv1")
    settings = EncodeSettings(preset="ultrafast", pix_fmt="yuv444p")
    info = probe(copied(source, tmp_path / "b.mp4", settings))
    assert (info.width, info.height, info.pix_fmt) == (97, 65, "yuv444p")


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p", "yuv422p"])
def test_the_pixel_format_is_kept_unless_another_is_asked_for(tmp_path: Path, pix_fmt: str) -> None:
    source = make_video(tmp_path / "a.mp4", pix_fmt=pix_fmt)
    assert probe(copied(source, tmp_path / "b.mp4")).pix_fmt == pix_fmt
    plain = replace(QUICK, pix_fmt="yuv420p")
    assert probe(copied(source, tmp_path / "c.mp4", plain)).pix_fmt == "yuv420p"


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_video_stays_interlaced(tmp_path: Path, order: str) -> None:
    source = make_video(tmp_path / "a.mp4", fields=order)
    assert probe(copied(source, tmp_path / "b.mp4")).field_order == order


def test_hevc_has_the_tag_that_every_player_accepts(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4")
    target = copied(source, tmp_path / "b.mp4", EncodeSettings("libx265", preset="ultrafast"))
    assert probe(target).codec == "hevc" and b"hvc1" in target.read_bytes()
    assert pts_of(target) == pts_of(source)


def test_the_frame_size_can_be_given(tmp_path: Path) -> None:
    reader = VideoReader(make_video(tmp_path / "a.mp4"))
    with VideoWriter(tmp_path / "b.mp4", reader.info, QUICK, size=(192, 64)) as writer:
        for frame in reader:
            writer.write(replace(frame, pixels=np.hstack([frame.pixels] * 2)))
    assert (probe(tmp_path / "b.mp4").width, probe(tmp_path / "b.mp4").height) == (192, 64)
