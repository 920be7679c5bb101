"""The video's own audio under new speech: turned down in time, never clipped, as long as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentsync.media.audio.limiter import CEILING, REACH, limited
from latentsync.media.audio.mix import ATTACK, RELEASE, Bed, MixedSpeech, PlacedAudio
from latentsync.media.audio.mix import write_soundtrack as write
from latentsync.media.audio.reader import SAMPLE_RATE, read_audio
from latentsync.media.audio.tempo import stretched
from latentsync.media.probe import probe
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mix")


@pytest.fixture(scope="module")
def silence(folder):
    return make_audio(folder / "none.wav", Tone(2.0, 0, codec="pcm_s16le", rate=SAMPLE_RATE))


@pytest.fixture(scope="module")
def video(folder):
    tone = Tone(4.0, 400, codec="pcm_s16le", rate=SAMPLE_RATE)
    return probe(make_video(folder / "a.mkv", moving_pattern(count=100), audio=[tone]))


def level(samples: np.ndarray, start: float, stop: float) -> float:
    return float(np.std(samples[round(start * SAMPLE_RATE) : round(stop * SAMPLE_RATE)]))


def test_it_is_turned_down_during_the_speech_and_back_up_after_it(silence, video, folder):
    placed = [PlacedAudio(silence, 1.0, 2.0)]
    write(placed, video, 4.0, folder / "mix.wav", bed=Bed.at(-18.0))
    mixed, own = read_audio(folder / "mix.wav"), read_audio(video.path)
    whole = level(own, 0.0, 4.0)
    assert len(mixed) == 4 * SAMPLE_RATE
    assert 20 * np.log10(level(mixed, 1.0, 2.0) / whole) == pytest.approx(-18, abs=0.1)
    for start, stop in ((0.0, 1.0 - ATTACK), (2.0 + RELEASE, 4.0)):
        assert level(mixed, start, stop) == pytest.approx(whole, rel=0.01)
    half_down = level(mixed, 2.0 + RELEASE / 2 - 0.02, 2.0 + RELEASE / 2 + 0.02) / whole
    assert half_down == pytest.approx((1 + 10 ** (-18 / 20)) / 2, abs=0.03)


def test_a_sum_beyond_full_scale_is_not_clipped(video, folder):
    """Speeches with the tone of the old audio at its full level: more than there is room for."""
    samples = read_audio(video.path)
    placed = [PlacedAudio(video.path, 1.0, 3.0, 1.0)] * int(2 / np.abs(samples).max())
    write(placed, video, 4.0, folder / "loud.wav", bed=Bed.at(0.0))
    middle = slice(SAMPLE_RATE * 3 // 2, SAMPLE_RATE * 5 // 2)
    mixed, tone = read_audio(folder / "loud.wav")[middle], samples[middle]
    assert np.abs(mixed).max() == pytest.approx(CEILING, abs=0.01)
    np.testing.assert_allclose(mixed / CEILING, tone / np.abs(tone).max(), atol=0.02)  # no step


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=6), st.floats(0.5, 3))
def test_the_limiter_changes_only_what_is_near_a_peak(sizes, peak):
    samples = np.full((sum(sizes), 2), 0.3, np.float32)
    place = len(samples) // 3
    samples[place, 1] = -peak
    blocks = np.split(samples, np.cumsum(sizes)[:-1])
    found = np.concatenate(list(limited(blocks)))
    assert found.shape == samples.shape
    assert np.abs(found).max() <= CEILING + 1e-6
    far = np.abs(np.arange(len(samples)) - place) > 2 * REACH
    np.testing.assert_array_equal(found[far], samples[far])
    np.testing.assert_allclose(found, np.concatenate(list(limited([samples]))), atol=1e-6)


@pytest.mark.parametrize("factor", [0.9, 1.05])
def test_stretched_audio_keeps_its_pitch_and_its_times(factor):
    """A click each second is a click each stretched second, to the end: there is no drift."""
    rate = 48000
    seconds = np.arange(10 * rate) / rate
    near = np.abs(seconds - seconds.round()) < 0.01
    tone = (np.sin(2 * np.pi * 1000 * seconds) * near * 20000).astype(np.int16)
    pieces = np.split(tone[:, None], 25)
    found = np.concatenate(list(stretched(pieces, factor, rate=rate, layout="mono")))[:, 0]
    assert len(found) == pytest.approx(len(tone) * factor, abs=0.05 * rate)
    for second in range(1, 10):
        around = np.abs(np.arange(len(found)) / rate - second * factor) < 0.1
        heard = np.flatnonzero(around & (np.abs(found) > 8000)) / rate
        assert heard.mean() == pytest.approx(second * factor, abs=0.03)
    loud = found[np.abs(found) > 0]
    crossings = np.count_nonzero(np.diff(np.sign(loud)) > 0) / len(loud) * rate
    assert crossings == pytest.approx(1000, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(start=st.floats(0, 3), cut=st.floats(0, 1.5), seconds=st.floats(0.2, 5))
def test_a_speech_begins_at_its_sample_and_the_whole_has_every_sample(folder, start, cut, seconds):
    tone = folder / "tone.wav"
    if not tone.exists():
        make_audio(tone, Tone(2.0, 300, codec="pcm_s16le", rate=SAMPLE_RATE))
    placed = [PlacedAudio(tone, start, start + 2.0 - cut, cut)]
    found = np.concatenate([*MixedSpeech(placed, seconds)])
    assert len(found) == round(seconds * SAMPLE_RATE)
    heard = np.flatnonzero(np.abs(found) > 1e-3)
    if start < seconds - 0.1:
        assert heard[0] / SAMPLE_RATE == pytest.approx(start, abs=0.005)
        assert heard[-1] / SAMPLE_RATE <= start + 2.0 - cut
