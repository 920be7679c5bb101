"""One speech in a video of another length: where it is heard, and what is refused before work."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from latentsync.errors import ConfigError
from latentsync.media.audio.reader import SAMPLE_RATE, read_audio
from latentsync.media.probe import probe
from latentsync.pipeline.placed_speech import PlacedSpeech
from latentsync.settings.load import load_config
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("placed")


@pytest.fixture(scope="module")
def audio(folder):
    return make_audio(folder / "a.wav", Tone(2.0, 300, codec="pcm_s16le", rate=SAMPLE_RATE))


@pytest.fixture(scope="module")
def video(folder):
    """Of 3 seconds."""
    tone = Tone(3.0, codec="pcm_s16le", rate=SAMPLE_RATE)
    return probe(make_video(folder / "v.mkv", moving_pattern(count=75), audio=[tone]))


def placed(video, audio, offset: float = 0.0, **output: object) -> PlacedSpeech:
    settings = {f"output.{key}": value for key, value in output.items()}
    flags = {"input.audio": str(audio), "input.audio_offset": offset, **settings}
    return PlacedSpeech(load_config(None, flags=flags), video, audio)


def heard(samples: np.ndarray) -> tuple[float, float]:
    """First and last second of what is not silent."""
    loud = np.flatnonzero(np.abs(samples) > 1e-2) / SAMPLE_RATE
    return float(loud[0]), float(loud[-1])


def test_a_speech_with_the_video_is_its_own_soundtrack(audio, video):
    speech = placed(video, audio)
    assert speech.soundtrack == audio
    line = speech.line(["largest"], 3.0)
    assert line.placed is None
    np.testing.assert_array_equal(np.concatenate(list(line.audio)), read_audio(audio))


@pytest.mark.parametrize(("offset", "span"), [(1.5, (1.5, 3.5)), (-0.5, (0.0, 1.5))])
def test_an_offset_moves_the_speech_or_cuts_its_beginning(offset, span, audio, video):
    speech = placed(video, audio, offset)
    line = speech.line(["largest"], 3.0)
    assert speech.end == pytest.approx(span[1])
    for samples in (np.concatenate(list(line.audio)), read_audio(speech.soundtrack)):
        assert heard(samples) == pytest.approx(span, abs=0.02)
    seconds = np.arange(100) / 25
    wanted = (seconds >= span[0]) & (seconds < span[1])
    np.testing.assert_array_equal(line.spoken(seconds), wanted)


def test_a_negative_offset_cuts_the_beginning_not_the_end(audio, video):
    line = placed(video, audio, -0.501).line(["largest"], 3.0)
    found = np.concatenate(list(line.audio))
    middle = slice(SAMPLE_RATE // 2, SAMPLE_RATE)
    np.testing.assert_array_equal(found[middle], read_audio(audio)[8016:][middle])


def test_a_speech_that_is_too_short_is_padded_with_silence(audio, video):
    speech = placed(video, audio, length="silence")
    samples = read_audio(speech.soundtrack)
    assert len(samples) / SAMPLE_RATE >= 3.0
    assert heard(samples) == pytest.approx((0.0, 2.0), abs=0.02)


def test_the_audio_of_the_video_is_stretched_with_it(audio, video):
    speech = placed(video, audio, 0.8, length="remap", mix="-18dB")
    assert speech.seconds == pytest.approx(2.8, abs=0.001)
    assert heard(read_audio(speech.soundtrack)) == pytest.approx((0.0, 2.8), abs=0.05)


@pytest.mark.parametrize(
    ("offset", "output", "said"),
    [
        (-2.0, {}, r"audio_offset: -2.*nothing is left.*has 2\.00 seconds"),
        (3.0, {"length": "video"}, r"audio_offset: 3.*ends at 3\.00 s; begin earlier"),
        (3.5, {"length": "cut_off"}, r"audio_offset: 3\.5.*output\.length=bounce"),
        (0.0, {"length": "remap"}, r"length: remap.*33\.3 % shorter.*max_remap allows 10 %"),
        (1.5, {"length": "remap"}, r"length: remap.*16\.7 % longer"),
    ],
)
def test_what_does_not_fit_the_video_is_refused_before_any_work(offset, output, said, audio, video):
    with pytest.raises(ConfigError, match=said) as caught:
        placed(video, audio, offset, **output)
    assert "\n" not in str(caught.value)


def test_a_larger_change_of_speed_can_be_allowed(audio, video):
    assert placed(video, audio, length="remap", max_remap=0.4).seconds == pytest.approx(2.0)


@pytest.mark.parametrize("length", ["cut_off", "video"])
def test_speech_after_the_end_of_the_video_is_noted(length, audio, video, caplog):
    with caplog.at_level(logging.WARNING):
        speech = placed(video, audio, 1.5, length=length)
    assert speech.notes == [
        "the last 0.50 s of the speech are cut off, as the video ends at 3.00 s"
    ]
    assert [one.getMessage() for one in caplog.records] == speech.notes


def test_a_mix_with_a_silent_video_is_noted(audio, video):
    (note,) = placed(replace(video, audio=()), audio, mix="-18dB").notes
    assert "has no audio: output.mix has no effect" in note
