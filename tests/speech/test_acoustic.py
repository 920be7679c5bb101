"""Acoustic features do not depend on loudness, microphone and block size."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.speech.acoustic import (
    CLOSING,
    CONTEXT,
    FEATURES,
    PER_SECOND,
    compute_acoustics,
    find_speech,
    speech_seconds,
)

RATE = 16000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=int(seconds * RATE)).astype(np.float32)


def syllables(count: int, seed: int = 0) -> np.ndarray:
    """0.25 s each: 0.17 s of audio with a spectrum of its own, then a closure of 0.08 s."""
    rng, out = np.random.default_rng(seed), []
    time = np.arange(int(0.17 * RATE)) / RATE
    for _ in range(count):
        tones = rng.uniform(150, 4000, 6)
        samples = sum(np.sin(2 * np.pi * tone * time + tone) for tone in tones)
        out += [0.05 * np.hanning(len(time)) * samples, np.zeros(int(0.08 * RATE))]
    return np.concatenate(out).astype(np.float32) + 1e-5 * noise(count * 0.25, seed)


def pause(seconds: float) -> np.ndarray:
    return 1e-5 * noise(seconds, 9)


def test_speech_is_counted_without_its_pauses_but_with_the_closures_in_it() -> None:
    samples = np.concatenate([pause(1), syllables(8), pause(0.6), syllables(12, 1), pause(1)])
    assert speech_seconds([samples]) == pytest.approx(5.0, abs=0.35)


@pytest.mark.parametrize("gain", [0.1, 0.5, 3.0])
def test_loudness_does_not_count(gain: float) -> None:
    samples = np.concatenate([pause(0.5), syllables(10), pause(0.5)])
    samples += 1e-3 * noise(len(samples) / RATE, 4)  # a room: no digital silence
    one, other = compute_acoustics([samples]), compute_acoustics([gain * samples])
    np.testing.assert_array_equal(one.speech, other.speech)
    np.testing.assert_allclose(one.cepstra, other.cepstra, atol=0.02)


@pytest.mark.parametrize("loudness", [1e-4, 1e-2])
def test_background_noise_changes_little_in_the_detected_speech(loudness: float) -> None:
    clean = np.concatenate([pause(1), 10 * syllables(12), pause(1)])
    noisy = clean + loudness * noise(len(clean) / RATE, 3)
    assert speech_seconds([noisy]) == pytest.approx(speech_seconds([clean]), abs=0.3)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3 * RATE, np.float32),
        0.1 * noise(3),
        np.sin(np.arange(3 * RATE) * 0.2).astype(np.float32),
        pause(3),
    ],
    ids=["digital silence", "noise", "a tone", "faint noise"],
)
def test_audio_without_level_changes_is_not_speech(samples: np.ndarray) -> None:
    acoustics = compute_acoustics([samples])
    assert acoustics.speech_seconds == 0
    assert np.isfinite(acoustics.cepstra).all()


def test_a_click_is_not_speech() -> None:
    samples = pause(3)
    samples[RATE : RATE + 160] += 0.5
    assert speech_seconds([samples]) == 0


def test_little_speech_in_a_long_silence_is_found() -> None:
    samples = np.concatenate([pause(60), syllables(4), pause(60)])
    assert speech_seconds([samples]) == pytest.approx(1.0, abs=0.2)


def test_a_pause_of_a_fifth_of_a_second_is_one_and_a_shorter_one_is_not() -> None:
    levels = np.full(300, -20.0)
    levels[:40] = levels[-40:] = -60
    levels[100:116] = -60
    levels[180:206] = -60
    speech = find_speech(levels)
    assert speech[60:170].all()
    assert not speech[185:201].any()
    assert not speech[:35].any() and not speech[-35:].any()


def test_features_do_not_depend_on_the_blocks() -> None:
    samples = np.concatenate([pause(0.3), syllables(6)])
    whole, parts = compute_acoustics([samples]), compute_acoustics(np.array_split(samples, 7))
    np.testing.assert_array_equal(whole.cepstra, parts.cepstra)
    np.testing.assert_array_equal(whole.speech, parts.speech)


def test_another_microphone_changes_little() -> None:
    """A fixed filter adds a constant to the cepstra, which the recording's own mean takes out.

    Where it is nearly silent, the floor of the log-mel spectrogram remains: not exactly equal.
    """
    samples = np.concatenate([pause(0.2), syllables(40), pause(0.2)])
    filtered = np.convolve(samples, [1, -0.6], mode="same").astype(np.float32)
    one, other = compute_acoustics([samples]), compute_acoustics([filtered])
    speech = one.speech & other.speech
    r = np.corrcoef(one.cepstra[speech].ravel(), other.cepstra[speech].ravel())[0, 1]
    assert r > 0.97


def test_equal_syllables_are_nearest_to_each_other() -> None:
    said = syllables(20, 5)
    again = np.concatenate([syllables(7, 6), said, syllables(5, 7)])
    middles = (np.arange(2, 18) * 0.25) + 0.085
    one = compute_acoustics([said]).around(middles)
    other = compute_acoustics([again]).around(np.arange(0, 32, 0.25) + 0.085)
    nearest = ((one[:, None] - other[None]) ** 2).sum(axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(nearest, np.arange(2, 18) + 7)


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
    acoustics = compute_acoustics([np.concatenate([syllables(8), pause(1), syllables(8)])])
    silent = acoustics.silent(np.array([-1.0, 1.0, 2.5, 3.5, 9.0]))
    np.testing.assert_array_equal(silent, [True, False, True, False, True])
    stops = np.flatnonzero(np.diff(acoustics.speech.astype(int)) < 0)[0] / PER_SECOND
    before = np.array([stops - 2 * CLOSING, stops - CLOSING / 2])
    np.testing.assert_array_equal(acoustics.silent(before), [False, True])


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="without a single sample"):
        compute_acoustics([])
