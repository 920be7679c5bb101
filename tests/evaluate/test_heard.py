"""The audio that is heard with a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentsync.evaluate.heard import SAMPLE_RATE, heard_with
from tests.support.media_factory import Tone, make_audio, make_video


def test_a_late_track_begins_with_silence_on_the_axis_of_the_frames(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mp4", audio=[Tone(1.0, start=0.5)])
    heard = heard_with(video)
    assert heard is not None
    samples = heard.samples()
    assert samples.dtype == np.float32
    assert np.abs(samples[: int(0.45 * SAMPLE_RATE)]).max() < 1e-3
    assert np.abs(samples[int(0.6 * SAMPLE_RATE) : int(1.3 * SAMPLE_RATE)]).max() > 0.05


def test_audio_that_is_named_is_read_in_place_of_the_own(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mp4", audio=[Tone(1.0)])
    other = make_audio(tmp_path / "a.wav", Tone(2.0, codec="pcm_s16le", rate=16000))
    heard = heard_with(video, other)
    assert heard is not None
    assert heard.path == other and len(heard.samples()) == 2 * SAMPLE_RATE


def test_a_result_without_audio_has_none_to_be_heard(tmp_path: Path) -> None:
    assert heard_with(make_video(tmp_path / "v.mp4")) is None
