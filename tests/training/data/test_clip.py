"""Frames and audio of one clip."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from latentsync.errors import MediaError
from latentsync.training.data.clip import as_faces, clip_facts, read_samples, read_windows
from tests.support.clips import SIDE, make_clip, numbered, numbers
from tests.support.media_factory import Tone, corrupt, cut, make_video, moving_pattern


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "one.mp4")


def shown(path: Path, starts: list[int], length: int = 5) -> list[list[int]]:
    return [numbers(as_faces(one, SIDE).numpy()) for one in read_windows(path, starts, length)]


def test_headers_say_what_training_needs(clip: Path) -> None:
    facts = clip_facts(clip)
    assert (facts.frames, facts.side) == (60, SIDE)
    assert facts.audio_seconds == pytest.approx(2.4, abs=0.1)


@pytest.mark.parametrize("starts", [[0], [55], [40, 3], [3, 40], [10, 12], [7, 7]])
def test_windows_are_the_frames_that_were_asked_for_in_any_order(
    clip: Path, starts: list[int]
) -> None:
    assert shown(clip, starts) == [list(range(start, start + 5)) for start in starts]


def test_frames_are_found_behind_key_frames_too(tmp_path: Path) -> None:
    options = {"g": "12", "bf": "2", "crf": "4"}
    path = make_video(tmp_path / "keys.mp4", numbered(60), options=options, audio=[Tone(2.4)])
    assert shown(path, [44, 5, 31]) == [list(range(start, start + 5)) for start in (44, 5, 31)]


def test_frames_are_counted_from_the_first_one_however_late_it_is(tmp_path: Path) -> None:
    pts = list(range(10, 70))
    path = make_video(tmp_path / "late.mp4", numbered(60), pts=pts, audio=[Tone(3.0, rate=16000)])
    assert shown(path, [0, 30]) == [[0, 1, 2, 3, 4], [30, 31, 32, 33, 34]]
    late = read_samples(path)
    tail = read_samples(make_clip(tmp_path / "other.mp4"))
    assert len(late) == pytest.approx(3.0 * 16000 - 10 * 640, abs=1100)  # AAC's last frame
    assert len(tail) == pytest.approx(2.4 * 16000, abs=1100)


def test_a_window_beyond_the_end_is_an_error_that_names_it(clip: Path) -> None:
    with pytest.raises(MediaError, match="frames 58 to 62"):
        read_windows(clip, [58], 5)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("silent", "no audio"),
        ("wide", "64x32"),
        ("fast", "29.97"),
        ("cut", "index"),
        ("text", "not a video"),
        ("empty", "empty"),
    ],
)
def test_what_training_cannot_use_is_said_in_a_line(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / f"{name}.mp4"
    if name == "silent":
        make_video(path, numbered(60))
    elif name == "wide":
        make_video(path, (np.zeros((32, 64, 3), np.uint8) for _ in range(60)), audio=[Tone(2)])
    elif name == "fast":
        make_video(path, numbered(60), rate=Fraction(30000, 1001), audio=[Tone(2)])
    elif name == "cut":
        cut(make_clip(path), 0.5)
    else:
        path.write_bytes(b"" if name == "empty" else b"no video at all" * 50)
    with pytest.raises(MediaError, match=what) as error:
        clip_facts(path)
    assert "\n" not in str(error.value)


def test_damaged_frames_are_an_error_and_not_a_picture(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 32, 32, 3), np.uint8)
    path = make_video(tmp_path / "damaged.mp4", noise, audio=[Tone(2.4)])
    good = read_windows(path, [50], 5)[0]
    corrupt(path, 0.5, length=6000)
    try:
        found = read_windows(path, [50], 5)[0]
    except MediaError as error:
        assert "50 to 54" in str(error)
    else:
        assert np.array_equal(found, good)


def test_faces_of_another_size_are_resized_as_upstream_does() -> None:
    """On 8 bits, where weights and what lies between the two directions are rounded."""
    pixels = np.stack(list(moving_pattern(48, 48, 2)))
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    exact = F.interpolate(planes.float(), size=(32, 32), mode="bicubic", antialias=True)
    found = (as_faces(pixels, 32) + 1) * 127.5
    assert (found - exact.clamp(0, 255)).abs().max() < 3
    plain = F.interpolate(planes.float(), size=(32, 32), mode="bicubic").clamp(0, 255)
    assert (found - plain).abs().max() > 20  # without antialiasing it is another picture
    same = ((as_faces(pixels, 48) + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(same, planes)


def test_ten_bit_frames_are_taken_as_eight(tmp_path: Path) -> None:
    path = make_video(tmp_path / "deep.mp4", numbered(60), pix_fmt="yuv420p10le", audio=[Tone(2.4)])
    assert shown(path, [20]) == [[20, 21, 22, 23, 24]]


def test_audio_is_mono_at_16_khz_from_the_first_frame_on(clip: Path) -> None:
    samples = read_samples(clip)
    assert samples.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(samples[4000:20000]))
    assert abs(int(spectrum.argmax()) - 300) <= 2  # Hz
    with av.open(str(clip)) as container:
        assert container.streams.video[0].average_rate == 25
