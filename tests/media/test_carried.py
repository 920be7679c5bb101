"""Closed captions travel from the decoder to the encoder with their frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from latentsync.media.hdr_dynamic import nal_unit, with_sei
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.writer import VideoWriter
from tests.support.media_factory import moving_pattern

COUNT = 6
REGISTERED = 4  # the payload's type: user data of a registered company


def letters(number: int) -> bytes:
    """A caption of one frame: three bytes, of which the latter two are text."""
    return bytes([0xFC, 0x41 + number, 0x42])


def captioned(path: Path, pix_fmt: str) -> Path:
    with av.open(path, "w") as output:
        stream = output.add_stream("libx265", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        params = "log-level=none:bframes=0"
        stream.codec_context.options = {"preset": "ultrafast", "x265-params": params}
        shown = iter(range(COUNT))
        frames = (
            VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
            for pixels in moving_pattern(96, 64, count=COUNT)
        )
        for pts, frame in enumerate([*frames, None]):
            if frame is not None:
                frame.pts, frame.time_base = pts, Fraction(1, 25)
            for packet in stream.encode(frame):
                message = b"\xb5\x00\x31GA94\x03\x41\xff" + letters(next(shown)) + b"\xff"
                output.mux(with_sei(packet, nal_unit([(REGISTERED, message)])))
    return path


def captions(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(f.side_data[Type.A53_CC]) for f in container.decode(video=0)]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_every_frame_keeps_its_captions_changed_or_not(
    tmp_path: Path, pix_fmt: str, codec: str
) -> None:
    source, target = captioned(tmp_path / "a.mkv", pix_fmt), tmp_path / "b.mkv"
    reader = VideoReader(source)
    with VideoWriter(target, reader.info, EncodeSettings(codec, preset="superfast")) as writer:
        for frame in reader:
            pixels = frame.pixels.copy()
            pixels[8:24, 8:24] //= 1 + frame.index % 2
            writer.write(replace(frame, pixels=pixels))
    assert captions(source) == [letters(n) for n in range(COUNT)]
    assert captions(target) == captions(source)
