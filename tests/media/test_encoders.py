"""Every encoder of the table: its options exist, it writes its formats, crf 0 loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from latentsync.media.encoder_options import PRESETS, Quality
from latentsync.media.encoders import ENCODERS, installed, refusal, usable_formats
from latentsync.media.hdr import HdrMetadata
from latentsync.media.scheduling import scheduling_kept
from latentsync.media.settings import EncodeSettings

SIZE = (96, 64)
SOFTWARE = [name for name, one in ENCODERS.items() if not one.hardware]


def test_the_usual_ones_are_installed() -> None:
    assert set(SOFTWARE) <= set(installed())


@pytest.mark.parametrize("name", installed())
def test_the_options_exist_with_these_values(name: str) -> None:
    known = CodecContext.create(name, "w").supported_options
    options = {option.name: option for option in (*known.generic, *known.private)}
    numeric = name == "libsvtav1"
    for preset in PRESETS:
        for crf in (0, 1, 18, 51):
            asked = Quality(crf, preset, ENCODERS[name].formats[0])
            for key, value in ENCODERS[name].options(asked, HdrMetadata()).items():
                option = options[key]
                choices = {choice.name for choice in option.choices}
                if choices and not value.lstrip("+").isdigit():
                    assert value.lstrip("+") in choices
                elif numeric and key in ("crf", "preset"):
                    assert option.min <= float(value) <= option.max


@pytest.mark.parametrize("name", SOFTWARE)
def test_all_its_formats_are_encoded(name: str) -> None:
    refused = {
        pix_fmt: reason
        for pix_fmt in usable_formats(name)
        if (reason := refusal(name, Quality(30, "ultrafast", pix_fmt), SIZE))
    }
    assert refused == {} and usable_formats(name) == ENCODERS[name].formats


def test_an_encoder_that_does_not_work_says_why() -> None:
    assert refusal("libx265", Quality(18, "medium", "yuv420p"), (2, 2))
    assert refusal("libx264", Quality(18, "medium", "yuv420p"), (2, 2)) == ""


@pytest.mark.parametrize(
    ("name", "pix_fmt"),
    [
        ("libx264", "yuv420p"),
        ("libx264", "yuv422p10le"),
        ("libx265", "yuv420p10le"),
        ("libsvtav1", "yuv420p10le"),
        ("ffv1", "yuva444p16le"),
        ("ffv1", "gbrp10le"),
    ],
)
def test_crf_0_is_lossless(name: str, pix_fmt: str) -> None:
    settings = EncodeSettings(name, 0, "ultrafast", pix_fmt)
    frames = list(_noise(pix_fmt))
    for before, after in zip(frames, _through(settings, frames), strict=True):
        assert after.format.name == pix_fmt
        assert np.array_equal(before.to_ndarray(), after.to_ndarray())


def test_crf_means_about_the_same_for_each() -> None:
    frames = list(_noise("yuv420p", grain=6))
    for crf in (18, 28):
        errors = [_error(EncodeSettings(name, crf, "medium", "yuv420p"), frames) for name in _LOSSY]
        assert max(errors) < 3.0 * min(errors)  # in mean squares: 4.8 dB


_LOSSY = ("libx264", "libx265", "libsvtav1")


def _noise(pix_fmt: str, *, grain: float = 40, count: int = 3) -> Iterator[VideoFrame]:
    random = np.random.default_rng(0)
    slope = np.linspace(60, 190, SIZE[0])[None, :, None] * np.ones((SIZE[1], 1, 3))
    for pts in range(count):
        pixels = np.clip(slope + random.normal(0, grain, slope.shape), 0, 255).astype(np.uint8)
        frame = VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
        frame.pts, frame.time_base = pts, Fraction(1, 25)
        yield frame


def _through(settings: EncodeSettings, frames: list[VideoFrame]) -> list[VideoFrame]:
    file = BytesIO()
    with scheduling_kept(), av.open(file, "w", format="matroska") as output:
        stream = output.add_stream(settings.codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, settings.pix_fmt
        options = ENCODERS[settings.codec].options(settings.quality(), HdrMetadata())
        stream.codec_context.options = options
        for frame in frames:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as written:
        assert isinstance(written, InputContainer)
        return list(written.decode(video=0))


def _error(settings: EncodeSettings, frames: list[VideoFrame]) -> float:
    pairs = zip(frames, _through(settings, frames), strict=True)
    return float(np.mean([(a.to_ndarray().astype(float) - b.to_ndarray()) ** 2 for a, b in pairs]))
