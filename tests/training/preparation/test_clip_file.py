"""A clip's file holds the very samples, and frames that any reader times and colours alike."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from latentsync.media.audio.reader import AudioReader
from latentsync.media.reader import VideoReader
from latentsync.training.preparation.clip_file import ClipFile
from tests.support.media_factory import moving_pattern

FRAMES = 50
SAMPLES = np.random.default_rng(0).integers(-9000, 9000, FRAMES * 640).astype(np.int16)


def written(path: Path, crf: int = 13) -> list[np.ndarray]:
    frames = list(moving_pattern(128, 128, FRAMES))
    file = ClipFile(path, 128, crf)
    for frame in frames:
        file.add(frame)
    file.finish(SAMPLES)
    return frames


def test_audio_is_exact_and_nothing_is_shifted(tmp_path: Path) -> None:
    written(tmp_path / "c.mp4")
    samples = np.concatenate(list(AudioReader(tmp_path / "c.mp4")))
    assert np.array_equal((samples * 32768).astype(np.int16), SAMPLES)
    with av.open(str(tmp_path / "c.mp4"), options={"ignore_editlist": "1"}) as container:
        times = [p.pts * p.time_base for p in container.decode(video=0) if p.pts is not None]
    assert times == [Fraction(number, 25) for number in range(FRAMES)]
    with av.open(str(tmp_path / "c.mp4"), options={"ignore_editlist": "1"}) as container:
        first = next(container.decode(audio=0))
        assert (first.pts, first.sample_rate, first.layout.name) == (0, 16000, "mono")


def test_colours_are_right_with_and_without_looking_at_tags(tmp_path: Path) -> None:
    frames = written(tmp_path / "c.mp4")
    own = [frame.pixels.astype(int) for frame in VideoReader(tmp_path / "c.mp4")]
    assert len(own) == FRAMES
    assert np.mean([abs(a - b).mean() for a, b in zip(own, frames, strict=True)]) < 2.5
    with av.open(str(tmp_path / "c.mp4")) as container:
        for decoded, frame in zip(container.decode(video=0), frames, strict=True):
            decoded.colorspace = 2  # unknown
            naive = decoded.to_ndarray(format="rgb24").astype(int)
            assert abs(naive.mean(axis=(0, 1)) - frame.mean(axis=(0, 1))).max() < 2


def test_without_loss_only_rounding_is_left(tmp_path: Path) -> None:
    frames = written(tmp_path / "c.mp4", crf=0)
    for read, frame in zip(VideoReader(tmp_path / "c.mp4"), frames, strict=True):
        assert abs(read.pixels.astype(int) - frame).max() <= 3


def test_what_is_discarded_leaves_no_file(tmp_path: Path) -> None:
    file = ClipFile(tmp_path / "c.mp4", 128, 13)
    file.add(np.zeros((128, 128, 3), np.uint8))
    file.discard()
    assert list(tmp_path.iterdir()) == []
