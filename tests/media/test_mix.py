"""Speeches that are placed in time: for one speaker, and mixed into the soundtrack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.media.audio import mix
from latentsync.media.audio.mix import (
    FADE,
    MixedSpeech,
    PlacedAudio,
    audio_seconds,
    write_soundtrack,
)
from latentsync.media.audio.reader import SAMPLE_RATE, read_audio
from latentsync.media.probe import probe
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern

EDGE = round(2 * FADE * SAMPLE_RATE)


@pytest.fixture
def low(tmp_path) -> Path:
    return make_audio(tmp_path / "low.wav", Tone(2.0, 200, codec="pcm_s16le", rate=SAMPLE_RATE))


@pytest.fixture
def high(tmp_path) -> Path:
    return make_audio(tmp_path / "high.wav", Tone(1.5, 900, codec="pcm_s16le", rate=SAMPLE_RATE))


def whole(placed: list[PlacedAudio], seconds: float) -> np.ndarray:
    return np.concatenate(list(MixedSpeech(placed, seconds)))


def part(samples: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Without the fades."""
    return samples[round(start * SAMPLE_RATE) + EDGE : round(stop * SAMPLE_RATE) - EDGE]


def test_a_speech_is_heard_in_its_place_and_nowhere_else(low):
    samples = whole([PlacedAudio(low, 1.0, 1.8, 0.5)], 3.0)
    assert len(samples) == 3 * SAMPLE_RATE
    assert not samples[:SAMPLE_RATE].any() and not samples[round(1.8 * SAMPLE_RATE) :].any()
    np.testing.assert_array_equal(part(samples, 1.0, 1.8), part(read_audio(low), 0.5, 1.3))


def test_speeches_that_overlap_are_added(low, high):
    both = whole([PlacedAudio(low, 0.0, 2.0), PlacedAudio(high, 0.5, 2.0)], 2.0)
    wanted = part(read_audio(low), 0.5, 2.0) + part(read_audio(high), 0.0, 1.5)
    np.testing.assert_allclose(part(both, 0.5, 2.0), wanted, atol=1e-6)


def test_it_can_be_read_twice_and_in_any_blocks(low, monkeypatch):
    placed = [PlacedAudio(low, 0.3, 1.9, 0.1)]
    speech = MixedSpeech(placed, 2.5)
    first, again = (np.concatenate(list(speech)) for _ in range(2))
    monkeypatch.setattr(mix, "BLOCK_SECONDS", 1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, whole(placed, 2.5))


def test_a_speech_that_ends_early_is_followed_by_silence(high):
    samples = whole([PlacedAudio(high, 0.0, 3.0)], 3.0)
    assert part(samples, 0.0, 1.5).any() and not part(samples, 1.5, 3.0).any()


def test_where_nobody_speaks_the_video_is_heard(low, tmp_path):
    video = probe(make_video(tmp_path / "a.mkv", moving_pattern(count=75), audio=[Tone(3.0, 440)]))
    write_soundtrack([PlacedAudio(low, 1.0, 2.0)], video, 3.0, tmp_path / "mix.wav")
    mixed, own = read_audio(tmp_path / "mix.wav"), read_audio(video.path)
    assert len(mixed) == 3 * SAMPLE_RATE
    for start, stop in ((0.0, 1.0), (2.0, 2.9)):
        ours, theirs = part(mixed, start, stop), part(own, start, stop)
        assert np.corrcoef(ours, theirs)[0, 1] > 0.999
        assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.01), "as loud as in the video"
    spoken = part(read_audio(low), 0.0, 1.0)
    assert np.abs(part(mixed, 1.0, 2.0) - spoken).max() < 0.02


def test_a_silent_video_gets_the_speech_alone(low, tmp_path):
    video = probe(make_video(tmp_path / "a.mp4", moving_pattern(count=50)))
    write_soundtrack([PlacedAudio(low, 0.5, 1.5)], video, 2.0, tmp_path / "mix.wav")
    mixed = read_audio(tmp_path / "mix.wav")
    assert not part(mixed, 0.0, 0.5).any() and part(mixed, 0.5, 1.5).any()


def test_the_length_is_that_of_what_can_be_decoded(low):
    assert audio_seconds(low) == pytest.approx(2.0, abs=0.001)
