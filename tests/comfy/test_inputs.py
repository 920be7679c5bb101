"""What comes into a node: files, frames and audio in memory."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from latentsync.errors import ConfigError
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from tests.support.made_up_comfy.program import Program
from tests.support.made_up_comfy.videos import VideoComponents, VideoFromComponents
from tests.support.media_factory import make_video, moving_pattern


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """25 frames, 1 s."""
    return make_video(tmp_path / "in.mp4", moving_pattern(count=25))


def frames(path: Path) -> list[np.ndarray]:
    return [frame.pixels for frame in VideoReader(path)]


def closest(frame: np.ndarray, others: list[np.ndarray]) -> int:
    """Index of the one that differs least."""
    return int(np.argmin([np.abs(frame.astype(int) - other).mean() for other in others]))


def tone(seconds: float = 0.5, channels: int = 1) -> dict[str, Any]:
    samples = torch.linspace(-1, 1, int(16000 * seconds)).sin() * 0.3
    return {"waveform": samples.repeat(1, channels, 1), "sample_rate": 16000}


def test_a_video_of_a_file_is_read_from_that_file(program: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    with video_file(program.video(video)) as path:
        assert path == video
    assert program.left() == []


def test_a_trimmed_video_is_that_part_only_and_gone_afterwards(new: Program, video: Path) -> None:
    from latentsync.comfy.files import FINER, video_file

    trimmed = new.video(video, start=0.2, duration=0.4)
    with video_file(trimmed) as path:
        assert len(frames(path)) == 10
        assert closest(frames(path)[0], frames(video)) == 5
    assert trimmed.saved_with == FINER
    assert new.left() == []


def test_a_cropped_video_is_not_read_from_its_file(new: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    cropped = new.video(video, duration=1.0)
    cropped.get_active_trim_window = lambda: (0.0, 0.0)
    cropped.has_pending_frame_edits = lambda: True
    cropped.save_to = lambda path: Path(path).write_bytes(b"cropped")
    with video_file(cropped) as path:
        assert path.read_bytes() == b"cropped"


def test_a_video_in_memory_becomes_a_file_as_it_is(program: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    kept = io.BytesIO(video.read_bytes())
    with video_file(type(program.video(video))(kept)) as path:
        assert path.read_bytes() == video.read_bytes()


def test_frames_in_memory_become_a_video_with_their_audio(program: Program) -> None:
    from latentsync.comfy.files import video_file

    shown = list(moving_pattern(count=8))
    images = torch.from_numpy(np.stack(shown)).float() / 255
    parts = VideoComponents(images, Fraction(24000, 1001), tone(channels=2))
    with video_file(VideoFromComponents(parts)) as path:
        info = probe(path)
        assert info.average_rate == Fraction(24000, 1001)
        assert len(info.audio) == 1
        difference = np.abs(np.stack(frames(path)).astype(int) - np.stack(shown))
        assert difference.mean() < 2
    with video_file(None, images, 25.0) as path:
        assert len(frames(path)) == 8
    assert program.left() == []


def test_an_odd_number_of_columns_is_kept(new: Program) -> None:
    from latentsync.comfy.files import video_file

    with video_file(None, torch.rand(2, 32, 33, 3), 25.0) as path:
        assert frames(path)[0].shape == (32, 33, 3)


@pytest.mark.parametrize("size", [(64, 96), (720, 1280)])  # players take HD for BT.709
def test_frames_in_memory_keep_their_colour_at_any_size(
    new: Program, size: tuple[int, int]
) -> None:
    from latentsync.comfy.files import video_file

    colour = torch.tensor([204, 76, 51])
    images = (colour / 255).expand(1, *size, 3)
    with video_file(None, images, 25.0) as path:
        difference = frames(path)[0].astype(int) - colour.numpy()
    assert np.abs(difference).max() <= 2


def test_video_and_images_are_not_both_taken(new: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    for given in ((None, None), (new.video(video), torch.zeros(1, 8, 8, 3))):
        with pytest.raises(ConfigError, match="connect one of them"), video_file(*given):
            pass


def test_audio_is_written_sample_for_sample(new: Program) -> None:
    from latentsync.comfy.files import audio_file

    audio = tone(seconds=5.0)
    with audio_file(audio) as path:
        with av.open(str(path)) as container:
            blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        samples = np.concatenate(blocks, axis=1)
        np.testing.assert_array_equal(samples[0], audio["waveform"][0, 0].numpy())
    assert new.left() == []


def test_a_batch_of_audio_is_refused(new: Program) -> None:
    from latentsync.comfy.files import audio_file

    audio = {"waveform": torch.zeros(2, 1, 100), "sample_rate": 16000}
    with pytest.raises(ConfigError, match="a batch of 2"), audio_file(audio):
        pass
    assert new.left() == []
