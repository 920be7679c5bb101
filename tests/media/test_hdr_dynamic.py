"""HDR metadata of each frame is written for that frame, in the order in which it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from latentsync.media.hdr import AMBIENT, HDR10_PLUS
from latentsync.media.hdr_dynamic import HdrPlus, nal_unit, with_sei
from latentsync.media.probe import probe
from latentsync.media.settings import EncodeSettings
from latentsync.media.target import check_target
from tests.support.copying import copied
from tests.support.media_factory import moving_pattern

SIZE, COUNT = (96, 64), 12
ROOM = bytes.fromhex("000003e83d134042")  # 0.1 lux, D65


def plus(nits: int) -> HdrPlus:
    """All that HDR10+ has, with a curve."""
    data = HdrPlus(version=1, window_count=1, luminance=(nits, 1))
    window = data.windows[0]
    window.max_rgb[:] = [(nits, 100_000), (0, 100_000), (99_999, 100_000)]
    window.average, window.bright = (5, 100_000), (7, 1000)
    window.percentile_count, window.anchor_count = 9, 3
    for n in range(9):
        window.percentiles[n] = (10 * n, (100 * n, 100_000))
    window.tone_mapping, window.knee[:] = 1, [(17, 4095), (64, 4095)]
    window.anchors[:3] = [(256, 1023), (512, 1023), (768, 1023)]
    window.saturation_mapping, window.saturation = 1, (3, 8)
    return data


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plus") / "a.mkv"
    with av.open(path, "w") as output:
        stream = output.add_stream("libx265", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p10le"
        params = "log-level=none:bframes=0"
        stream.codec_context.options = {"preset": "ultrafast", "x265-params": params}
        shown = iter(range(COUNT))
        for frame in [*pattern(), None]:
            for packet in stream.encode(frame):
                messages = [(4, plus(next(shown) + 100).message()), (148, ROOM)]
                output.mux(with_sei(packet, nal_unit(messages)))
    return path


def pattern() -> Iterator[VideoFrame]:
    for pts, pixels in enumerate(moving_pattern(*SIZE, count=COUNT)):
        frame = VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p10le")
        frame.pts, frame.time_base = pts, Fraction(1, 25)
        yield frame


def messages(path: Path) -> list[tuple[bytes, list[int]]]:
    """Of each frame, in the order in which they are shown: HDR10+, and the surroundings."""
    found = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            data = HdrPlus.from_buffer_copy(bytes(frame.side_data[Type.DYNAMIC_HDR_PLUS]))
            room = bytes(frame.side_data[Type.AMBIENT_VIEWING_ENVIRONMENT])
            found.append((data.message(), np.frombuffer(room, np.int32).tolist()))
    return found


def test_ffmpeg_reads_what_was_written(source: Path) -> None:
    room = [1000, 10_000, 15_635, 50_000, 16_450, 50_000]
    assert messages(source) == [(plus(n + 100).message(), room) for n in range(COUNT)]
    assert probe(source).hdr.dynamic == (HDR10_PLUS, AMBIENT)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_every_frame_keeps_its_own(tmp_path: Path, source: Path, suffix: str) -> None:
    settings = EncodeSettings(preset="superfast")  # with B-frames: packets are in another order
    target = copied(source, tmp_path / f"b{suffix}", settings)
    assert messages(target) == messages(source)


def test_what_another_encoder_drops_is_noted(tmp_path: Path, source: Path) -> None:
    def noted(codec: str) -> list[str]:
        plan = check_target(tmp_path / "b.mp4", probe(source), EncodeSettings(codec))
        return [note for note in plan.notes if "is not kept" in note]

    assert noted("libx265") == []
    assert [HDR10_PLUS in noted("libx264")[0], AMBIENT in noted("libx264")[1]] == [True, True]


def test_a_payload_cannot_look_like_the_start_of_a_unit() -> None:
    nal = nal_unit([(4, bytes(40)), (4, b"\0\0\1\0\0\2\0\0\3")])
    assert not re.search(rb"\x00\x00[\x00-\x02]", nal)
