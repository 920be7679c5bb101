"""The part of a frame that was restored reaches the file in better quality than the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.writer import VideoWriter
from latentsync.types import Box, Frame
from tests.support.media_factory import make_video, pts_of

BOX = Box(64, 48, 160, 112)
INSIDE = (slice(BOX.y0, BOX.y1), slice(BOX.x0, BOX.x1))


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Grain on a gradient: hard to encode everywhere."""
    random = np.random.default_rng(0)
    slope = np.linspace(40, 200, 256)[None, :, None] * np.ones((192, 1, 3))
    frames = [np.clip(slope + random.normal(0, 12, slope.shape), 0, 255) for _ in range(4)]
    path = tmp_path_factory.mktemp("grain") / "grain.mkv"
    return make_video(path, [frame.astype(np.uint8) for frame in frames])


def _error(video: Path, target: Path, steps: int, box: Box | None, **settings_: str) -> np.ndarray:
    """(H, W) mean squared error of the written video."""
    reader = VideoReader(video)
    settings = EncodeSettings(crf=28, preset="veryfast", roi_offset=steps, **settings_)
    with VideoWriter(target, reader.info, settings) as writer:
        for frame in reader:
            writer.write(frame, roi=box)
    assert pts_of(target) == pts_of(video)
    pairs = zip(VideoReader(video), VideoReader(target), strict=True)
    squares = [(_code_values(a) - _code_values(b)) ** 2 for a, b in pairs]
    return np.mean(squares, axis=(0, 3))


def _code_values(frame: Frame) -> np.ndarray:
    """Of 8 bits, whatever the depth."""
    return frame.pixels * (255 / np.iinfo(frame.pixels.dtype).max)


def test_the_box_is_finer_and_the_rest_as_before(video, tmp_path):
    plain = _error(video, tmp_path / "plain.mkv", 0, BOX)
    finer = _error(video, tmp_path / "finer.mkv", 10, BOX)
    assert finer[INSIDE].mean() < 0.5 * plain[INSIDE].mean()
    assert finer[:40].mean() == pytest.approx(plain[:40].mean(), rel=0.15)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_step_is_the_same_with_ten_bits(video, tmp_path, codec):
    gains = []
    for pix_fmt in ("yuv420p", "yuv420p10le"):
        plain, finer = (
            _error(video, tmp_path / "a.mkv", steps, BOX, codec=codec, pix_fmt=pix_fmt)
            for steps in (0, 10)
        )
        gains.append(finer[INSIDE].mean() / plain[INSIDE].mean())
    assert gains[1] == pytest.approx(gains[0], rel=0.15)


def test_without_a_box_nothing_changes(video, tmp_path):
    plain = _error(video, tmp_path / "plain.mkv", 0, None)
    marked = _error(video, tmp_path / "marked.mkv", 10, None)
    assert (plain == marked).all()
