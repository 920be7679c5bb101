"""Frames far into a video are sought, by what an earlier reading knows of them."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from latentsync.media import indexed, seeking
from latentsync.media.decoder import Decoding
from latentsync.media.indexed import IndexedReader
from latentsync.media.reader import VideoReader
from latentsync.media.seeking import KnownFrames, SeekingDecoder, checksum
from tests.support.media_factory import make_video, moving_pattern

COUNT = 60


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(
        tmp_path / "in.mp4", moving_pattern(count=COUNT), options={"preset": "ultrafast", "g": "10"}
    )


@pytest.fixture(autouse=True)
def far_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_NEAR", 5)
    monkeypatch.setattr(seeking, "_MAX_SKIPPED", 5)


def known(video: Path) -> KnownFrames:
    frames = list(VideoReader(video))
    sums = [checksum(frame.pixels) for frame in frames]
    return KnownFrames(np.array([frame.pts for frame in frames]), np.array(sums, np.uint32))


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counted, frames = [], Decoding.frames

    def counting(self: Decoding):
        for frame in frames(self):
            counted.append(1)
            yield frame

    monkeypatch.setattr(Decoding, "frames", counting)
    return counted


def test_a_segment_is_read_without_decoding_what_is_before_it(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = list(VideoReader(video))
    table, counted = known(video), decoded(monkeypatch)
    read = list(IndexedReader(video, range(45, 55), table))
    assert all(np.array_equal(a.pixels, frames[45 + n].pixels) for n, a in enumerate(read))
    assert [frame.pts for frame in read] == [frame.pts for frame in frames[45:55]]
    assert len(counted) < 40


def test_a_frame_that_is_not_the_known_one_is_looked_for_from_the_start(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = list(VideoReader(video))
    table = known(video)
    moved = KnownFrames(table.pts, np.roll(table.sums, 1))  # as if every seek landed wrong
    counted = decoded(monkeypatch)
    (read,) = IndexedReader(video, [45], moved)
    assert np.array_equal(read.pixels, frames[45].pixels)
    assert len(counted) > 45


@pytest.mark.parametrize("count", [10, 3])
def test_a_segment_leaves_no_decoder_behind_even_before_the_collector_comes(
    video: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Each would hold its frames: 42 MB for every segment of a video of 1080p."""
    made, go_to = [], SeekingDecoder._go_to
    monkeypatch.setattr(
        SeekingDecoder, "_go_to", lambda self, index: made.append(self) or go_to(self, index)
    )
    read = iter(IndexedReader(video, range(45, 55), known(video)))
    gc.disable()
    try:
        for _ in range(count):
            next(read)
        left = weakref.ref(made.pop()._decoding)
        read.close()
        assert left() is None
    finally:
        gc.enable()
