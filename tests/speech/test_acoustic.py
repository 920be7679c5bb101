"""Acoustic features do not depend on loudness, microphone and block size."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.media.audio.reader import read_audio
from latentsync.speech.acoustic import (
    CLOSING,
    CONTEXT,
    FEATURES,
    compute_acoustics,
    detect_speech,
)
from latentsync.speech.voice_activity import PER_SECOND
from tests.support.sounds import RATE, SPEECH, SPOKEN, noise, pause, words

SECONDS = sum(end - begin for begin, end in SPEECH)


def syllables(count: int, seed: int = 0) -> np.ndarray:
    """0.25 s each: 0.17 s of audio with a spectrum of its own, then a closure of 0.08 s."""
    rng, out = np.random.default_rng(seed), []
    time = np.arange(int(0.17 * RATE)) / RATE
    for _ in range(count):
        tones = rng.uniform(150, 4000, 6)
        samples = sum(np.sin(2 * np.pi * tone * time + tone) for tone in tones)
        out += [0.05 * np.hanning(len(time)) * samples, np.zeros(int(0.08 * RATE))]
    return np.concatenate(out).astype(np.float32) + 1e-5 * noise(count * 0.25, seed)


def test_speech_is_counted_without_its_pauses() -> None:
    acoustics = compute_acoustics([np.concatenate([pause(1), words(), pause(1)])])
    assert acoustics.speech_seconds == pytest.approx(SECONDS, abs=0.2)
    assert detect_speech([words()]).sum() == compute_acoustics([words()]).speech.sum()


@pytest.mark.parametrize("gain", [0.1, 0.5, 3.0])
def test_loudness_does_not_count(gain: float) -> None:
    samples = words() + 1e-3 * noise(len(words()) / RATE, 4)  # a room: no digital silence
    one, other = compute_acoustics([samples]), compute_acoustics([gain * samples])
    np.testing.assert_array_equal(one.speech, other.speech)
    np.testing.assert_allclose(one.cepstra, other.cepstra, atol=0.02)


@pytest.mark.parametrize("loudness", [1e-4, 1e-2])
def test_background_noise_changes_little_in_the_detected_speech(loudness: float) -> None:
    noisy = words() + loudness * noise(len(words()) / RATE, 3)
    assert compute_acoustics([noisy]).speech_seconds == pytest.approx(SECONDS, abs=0.3)


def test_audio_without_speech_has_cepstra() -> None:
    acoustics = compute_acoustics([np.zeros(3 * RATE, np.float32)])
    assert acoustics.speech_seconds == 0
    assert np.isfinite(acoustics.cepstra).all()


def test_features_do_not_depend_on_the_blocks() -> None:
    samples = np.concatenate([pause(0.3), words()])
    whole, parts = compute_acoustics([samples]), compute_acoustics(np.array_split(samples, 7))
    np.testing.assert_array_equal(whole.cepstra, parts.cepstra)
    np.testing.assert_array_equal(whole.speech, parts.speech)


def test_another_microphone_changes_little() -> None:
    """A fixed filter adds a constant to the cepstra, which the recording's own mean takes out.

    Where it is nearly silent, the floor of the log-mel spectrogram remains: not exactly equal.
    """
    samples = words()
    filtered = np.convolve(samples, [1, -0.6], mode="same").astype(np.float32)
    one, other = compute_acoustics([samples]), compute_acoustics([filtered])
    speech = one.speech & other.speech
    r = np.corrcoef(one.cepstra[speech].ravel(), other.cepstra[speech].ravel())[0, 1]
    assert r > 0.97


def test_equal_sounds_are_nearest_to_each_other() -> None:
    others = read_audio(SPOKEN.with_name("demo_talking.mp4"))[: 5 * RATE]
    middles = np.arange(0.25, 3.1, 0.25)
    one = compute_acoustics([words()]).around(middles)
    other = compute_acoustics([np.concatenate([others, words()])]).around(np.arange(0, 8.2, 0.25))
    nearest = ((one[:, None] - other[None]) ** 2).sum(axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(nearest, np.arange(len(middles)) + 21)


def test_an_instant_includes_its_context() -> None:
    acoustics = compute_acoustics([syllables(8)])
    instants = np.array([0.5, 1.0])
    rows = acoustics.around(instants).reshape(2, len(CONTEXT), -1)
    for k, offset in enumerate(CONTEXT):
        places = np.round((instants + offset) * PER_SECOND).astype(int)
        np.testing.assert_allclose(rows[:, k], acoustics.cepstra[places], atol=1e-4)
    assert acoustics.around(instants).shape == (2, FEATURES)


def test_beyond_the_ends_the_outermost_instant_is_repeated() -> None:
    acoustics = compute_acoustics([syllables(4)])
    rows = acoustics.around(np.array([-5.0, 99.0])).reshape(2, len(CONTEXT), -1)
    np.testing.assert_allclose(rows[0], np.repeat(acoustics.cepstra[:1], len(CONTEXT), axis=0))
    np.testing.assert_allclose(rows[1], np.repeat(acoustics.cepstra[-1:], len(CONTEXT), axis=0))


def test_it_is_silent_in_pauses_outside_the_audio_and_just_before() -> None:
    acoustics = compute_acoustics([words()])
    silent = acoustics.silent(np.array([-1.0, 0.7, 1.5, 2.5, 9.0]))
    np.testing.assert_array_equal(silent, [True, False, True, False, True])
    stops = np.flatnonzero(np.diff(acoustics.speech.astype(int)) < 0)[0] / PER_SECOND
    before = np.array([stops - 2 * CLOSING, stops - CLOSING / 2])
    np.testing.assert_array_equal(acoustics.silent(before), [False, True])


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="without a single sample"):
        compute_acoustics([])
