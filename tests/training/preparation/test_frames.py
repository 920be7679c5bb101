"""Any frame rate becomes 25 by time: what is shown is the nearest frame, and nothing drifts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.evaluate.sync.instants import instants
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.training.preparation.frames import SteadyFrames, with_square_pixels
from tests.support.media_factory import make_video


def numbered(count: int) -> list[np.ndarray]:
    """The greys of both halves are the digits of each frame's number."""
    frames = np.empty((count, 32, 32, 3), np.uint8)
    numbers = np.arange(count)[:, None, None, None]
    frames[:, :, :16], frames[:, :, 16:] = 20 * (numbers // 10) + 20, 20 * (numbers % 10) + 20
    return list(frames)


def number_of(pixels: np.ndarray) -> int:
    tens, ones = (round((half.mean() - 20) / 20) for half in (pixels[:, :12], pixels[:, 20:]))
    return 10 * tens + ones


def shown(path: Path) -> list[int]:
    return [number_of(frame.pixels) for frame in SteadyFrames(probe(path))]


@pytest.mark.parametrize("rate", [Fraction(12), Fraction(24000, 1001), Fraction(25), Fraction(60)])
def test_each_instant_shows_the_nearest_frame(tmp_path: Path, rate: Fraction) -> None:
    path = make_video(tmp_path / "v.mp4", numbered(90), rate=rate)
    seconds = np.array([frame.pts_seconds for frame in VideoReader(path)])
    expected = instants(seconds, seconds[-1] + float(1 / rate))
    assert shown(path) == expected.tolist()
    assert abs(len(expected) / 25 - 90 / rate) <= 0.0201


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    pts = [0, 40, 90, 300, 333, 800]
    path = make_video(tmp_path / "v.mkv", numbered(6), pts=pts, time_base=Fraction(1, 1000))
    frames = shown(path)
    for instant, frame in enumerate(frames[:20]):
        nearest = min(range(6), key=lambda number: abs(pts[number] / 1000 - instant / 25))
        assert abs(pts[frame] - pts[nearest]) < 1 or frame == nearest
    assert (frames[4], frames[5]) == (2, 3)  # of 160 ms and 200 ms: those at 90 and at 300


def test_damaged_time_stamps_do_not_fill_the_disk(tmp_path: Path) -> None:
    base = Fraction(1, 1000)
    path = make_video(tmp_path / "v.mkv", numbered(3), pts=[0, 40, 9_000_000], time_base=base)
    with pytest.raises(MediaError, match="shown for 9000 s"):
        list(SteadyFrames(probe(path)))


def test_pixels_become_square() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    assert with_square_pixels(pixels, 4 / 3).shape == (40, 80, 3)
    assert with_square_pixels(pixels, 1.0) is pixels


def test_frames_that_are_asked_for_are_the_same(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", numbered(30), rate=30)
    frames = SteadyFrames(probe(path))
    every = [frame.pixels for frame in frames]
    wanted = np.array([3, 3, 10])
    found = list(frames.shown(wanted))
    assert [frame.index for frame in found] == [3, 3, 10]
    assert all(np.array_equal(f.pixels, every[f.index]) for f in found)
