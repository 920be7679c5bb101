"""Static HDR metadata reaches the output as it was."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from latentsync.media.hdr import MasteringDisplay
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.settings import EncodeSettings
from tests.support.copying import copied
from tests.support.media_factory import make_video, moving_pattern

PQ = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16}
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    params = f"log-level=none:master-display={DISPLAY}:max-cll=1000,400"
    path = tmp_path_factory.mktemp("pq") / "pq.mp4"
    options = {"preset": "ultrafast", "x265-params": params}
    frames = moving_pattern(count=3)
    make_video(path, frames, codec="libx265", pix_fmt="yuv420p10le", colors=PQ, options=options)
    return probe(path)


def test_it_is_read(source: VideoInfo) -> None:
    display = source.hdr.mastering
    assert display is not None
    assert display.red == (Fraction(68, 100), Fraction(32, 100))
    assert display.green == (Fraction(265, 1000), Fraction(69, 100))
    assert display.blue == (Fraction(15, 100), Fraction(6, 100))
    assert display.white == (Fraction(3127, 10000), Fraction(329, 1000))
    assert display.luminance == (Fraction(5, 1000), 1000)
    assert source.hdr.light == (1000, 400) and source.hdr.dynamic == ()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", ["auto", "libx264"])
def test_the_output_has_the_same(
    tmp_path: Path, source: VideoInfo, codec: str, suffix: str
) -> None:
    settings = EncodeSettings(codec, preset="ultrafast")
    made = probe(copied(source.path, tmp_path / f"b{suffix}", settings))
    assert (made.hdr, made.color) == (source.hdr, source.color)
    assert (made.bit_depth, made.pix_fmt) == (10, "yuv420p10le")
    assert made.codec == ("h264" if codec == "libx264" else "hevc")


def test_av1_rounds_it(tmp_path: Path, source: VideoInfo) -> None:
    settings = EncodeSettings("libsvtav1", preset="ultrafast")
    made = probe(copied(source.path, tmp_path / "b.mp4", settings))
    assert made.hdr.light == source.hdr.light and made.color == source.color
    assert flat(made.hdr.mastering) == pytest.approx(flat(source.hdr.mastering), rel=0.001)


def test_a_video_without_it_gets_none(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", pix_fmt="yuv420p10le", colors=PQ)
    assert not probe(source).hdr.static
    made = probe(copied(source, tmp_path / "b.mp4", EncodeSettings(preset="ultrafast")))
    assert made.codec == "hevc" and not made.hdr.static


def test_an_incomplete_display_counts_as_none(source: VideoInfo) -> None:
    assert MasteringDisplay.of(bytes(88)) is None
    assert replace(source.hdr, mastering=None).x265() == {"max-cll": "1000,400"}


def flat(display: MasteringDisplay | None) -> list[float]:
    assert display is not None
    points = (display.red, display.green, display.blue, display.white, display.luminance)
    return [float(one) for pair in points for one in pair]
