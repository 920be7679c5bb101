"""Speech is found in any loudness, and noise, tones and music are not speech."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from latentsync.errors import CheckpointError
from latentsync.speech import voice_activity
from latentsync.speech.acoustic import detect_speech
from latentsync.speech.voice_activity import PER_SECOND, find_speech, pauses, speech_probabilities
from tests.support.sounds import RATE, SPEECH, music, noise, pause, words

WINDOWS_PER_SECOND = RATE / 512


def found(*parts: np.ndarray) -> list[tuple[float, float]]:
    """[first, last) second of each run of speech."""
    return spans(detect_speech([np.concatenate(parts)]))


def spans(flags: np.ndarray) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.pad(flags, 1).astype(int))) / PER_SECOND
    return [(float(a), float(b)) for a, b in edges.reshape(-1, 2)]


def assert_spans(spans: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> None:
    assert len(spans) == len(wanted), spans
    np.testing.assert_allclose(spans, wanted, atol=0.12)


def moved(seconds: float) -> list[tuple[float, float]]:
    """The demo's speech so much later."""
    return [(begin + seconds, end + seconds) for begin, end in SPEECH]


def test_speech_is_found_where_it_is_and_not_where_it_pauses() -> None:
    length = len(words()) / RATE
    assert_spans(found(pause(2), words(), pause(2)), moved(2))
    assert_spans(found(words(), pause(1), words()), moved(0) + moved(length + 1))


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3 * RATE, np.float32),
        *(loudness * noise(3) for loudness in (1e-5, 1e-3, 0.1, 0.5)),
        np.sin(np.arange(3 * RATE) * 0.2).astype(np.float32),
        *(music(6, loudness) for loudness in (1e-3, 0.1)),
    ],
    ids=[
        *("digital silence", "faint noise", "quiet noise", "noise", "loud noise"),
        *("a tone", "quiet music", "music"),
    ],
)
def test_audio_without_a_voice_is_not_speech(samples: np.ndarray) -> None:
    assert not detect_speech([samples]).any()


@pytest.mark.parametrize("between", [0.1 * noise(2), music(2)], ids=["noise", "music"])
def test_a_pause_may_be_as_loud_as_the_speech(between: np.ndarray) -> None:
    length = len(words()) / RATE
    assert_spans(found(words(), between, words()), moved(0) + moved(length + 2))


@pytest.mark.parametrize("decibels", [-60, -40, -20, 20])
def test_loudness_does_not_count(decibels: float) -> None:
    quiet = (10 ** (decibels / 20) * words()).astype(np.float32)
    other = detect_speech([quiet]) != detect_speech([words()])
    assert other.sum() <= 3, "at -60 dB the logarithm's floor may move a border by 10 ms"


def test_little_speech_in_a_long_silence_is_found() -> None:
    assert_spans(found(pause(30), words(), pause(30)), moved(30))


def test_a_click_is_not_speech() -> None:
    samples = pause(3)
    samples[RATE : RATE + 160] += 0.5
    assert not detect_speech([samples]).any()


def test_a_pause_of_a_fifth_of_a_second_is_one_and_a_shorter_one_is_not() -> None:
    levels = np.full(300, -20.0)
    levels[:40] = levels[-40:] = -60
    levels[100:116] = -60
    levels[180:206] = -60
    speech = find_speech(np.ones(94, np.float32), levels)
    assert speech[60:170].all()
    assert not speech[185:201].any()
    assert not speech[:35].any() and not speech[-35:].any()


def test_the_network_decides_in_audio_of_one_level_and_doubt_changes_nothing() -> None:
    probability = np.full(94, 0.1, np.float32)
    probability[30:40] = 0.9
    probability[40:50] = 0.4  # in doubt: the speech goes on
    probability[70:80] = 0.4  # in doubt: it does not begin
    ((begin, end),) = spans(find_speech(probability, np.full(300, -20.0)))
    assert begin == pytest.approx(30 / WINDOWS_PER_SECOND, abs=0.05)
    assert end == pytest.approx(50 / WINDOWS_PER_SECOND, abs=0.05)


def test_a_moment_is_not_speech() -> None:
    probability = np.full(94, 0.1, np.float32)
    probability[40] = 0.9
    assert not find_speech(probability, np.full(300, -20.0)).any()


def test_probabilities_do_not_depend_on_the_blocks() -> None:
    whole = speech_probabilities([words()], 1.4)
    parts = speech_probabilities(np.array_split(words(), 7), 1.4)
    np.testing.assert_array_equal(whole, parts)
    assert len(whole) == -(-len(words()) // 512)


def test_threads_do_not_disturb_each_other() -> None:
    alone = speech_probabilities([words()], 1.4)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: speech_probabilities([words()], 1.4), range(4)))
    for probabilities in together:
        np.testing.assert_array_equal(probabilities, alone)


def test_a_missing_network_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CheckpointError, match="pip install silero-vad"):
        speech_probabilities([words()], 1.4)


def test_the_package_is_not_imported() -> None:
    lines = (
        "import sys, numpy as np",
        "from latentsync.speech.voice_activity import speech_probabilities",
        "speech_probabilities([np.zeros(600, np.float32)], 0.0)",
        f"assert {voice_activity.PACKAGE!r} not in sys.modules",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_pauses_are_long_enough_and_surround_the_recording() -> None:
    speech = np.ones(400, bool)
    speech[:10] = speech[100:128] = speech[200:231] = speech[-10:] = False
    seconds = np.array([-1.0, 0.05, 0.5, 1.15, 2.0, 2.15, 2.3, 2.31, 3.95, 9.0])
    wanted = [True, True, False, False, True, True, True, False, True, True]
    np.testing.assert_array_equal(pauses(speech, seconds), wanted)
    np.testing.assert_array_equal(pauses(speech, seconds, 0.25)[3], True)


def test_without_speech_all_is_pause() -> None:
    assert pauses(np.zeros(100, bool), np.arange(0, 1, 0.1)).all()
    assert pauses(np.zeros(0, bool), np.arange(0, 1, 0.1)).all()


class Recorder:
    """In place of the network: keeps its inputs, and counts in its state."""

    def __init__(self) -> None:
        self.inputs: list[tuple[np.ndarray, np.ndarray]] = []

    def infer(self, inputs: list[np.ndarray]) -> Recorder:
        self.inputs.append((inputs[0].copy(), inputs[1].copy()))
        return self

    def to_tuple(self) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((1, 1), np.float32), self.inputs[-1][1] + 1


def test_a_window_begins_with_the_end_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(voice_activity, "_new_request", lambda: recorder)
    speech_probabilities([noise(0.1)], voice_activity.LEVEL)
    samples = np.concatenate([window[0, 64:] for window, _ in recorder.inputs])
    np.testing.assert_array_equal(samples[:1600], noise(0.1))
    for k, (window, state) in enumerate(recorder.inputs):
        before = samples[512 * k - 64 : 512 * k] if k else np.zeros(64)
        np.testing.assert_array_equal(window[0, :64], before)
        assert (state == k).all()
