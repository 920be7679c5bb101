"""Several speeches in one video: who speaks when, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import ConfigError, MediaError
from latentsync.media.audio.reader import SAMPLE_RATE, read_audio
from latentsync.media.probe import probe
from latentsync.pipeline.dialogue import Dialogue
from latentsync.settings.load import load_config
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern


@pytest.fixture
def audio(tmp_path) -> Path:
    return make_audio(tmp_path / "a.wav", Tone(2.0, 300, codec="pcm_s16le", rate=SAMPLE_RATE))


@pytest.fixture
def video(tmp_path):
    return probe(make_video(tmp_path / "v.mp4", moving_pattern(count=75), audio=[Tone(3.0)]))


def dialogue(video, *entries: dict, **settings: object) -> Dialogue:
    return Dialogue(load_config(None, flags={"speakers": list(entries), **settings}), video)


def test_entries_of_one_speaker_are_one_line(audio, video):
    made = dialogue(
        video,
        {"speaker": "left", "audio": str(audio), "start": 0.0, "end": 0.5},
        {"speaker": "right", "audio": str(audio), "start": 0.5, "end": 1.0},
        {"speaker": "left", "audio": str(audio), "start": 1.5, "end": 2.0, "offset": 1.0},
    )
    assert made.speakers == ["left", "right"]
    line = made.line(["left"], 3.0)
    seconds = np.arange(75) / 25
    wanted = (seconds < 0.5) | ((seconds >= 1.5) & (seconds < 2.0))
    np.testing.assert_array_equal(line.spoken(seconds), wanted)
    samples = np.concatenate(list(line.audio))
    assert len(samples) == 3 * SAMPLE_RATE
    assert not samples[SAMPLE_RATE // 2 : 3 * SAMPLE_RATE // 2].any()


def test_an_entry_without_end_lasts_as_long_as_its_audio(audio, video):
    made = dialogue(video, {"audio": str(audio), "start": 0.5, "offset": 0.25})
    ((_, placed),) = made.entries
    assert placed.end == pytest.approx(2.25, abs=0.001)


def test_the_soundtrack_is_as_long_as_the_video_and_removed_afterwards(audio, video):
    made = dialogue(video, {"audio": str(audio), "start": 1.0})
    path = made.soundtrack
    assert made.soundtrack == path, "written once"
    assert len(read_audio(path)) / SAMPLE_RATE == pytest.approx(video.duration_seconds, abs=0.01)
    del made
    assert not path.exists()


def test_a_given_soundtrack_is_taken(audio, video):
    entry = {"audio": str(audio)}
    made = dialogue(video, entry, **{"output.soundtrack": str(audio)})
    assert made.soundtrack == audio


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"offset": 2.5}, r"entry 1, offset: 2\.5.*has 2\.00 seconds"),
        ({"start": 3.5}, r"entry 1, start: 3\.5.*has 3\.0\d seconds"),
        ({"start": 1.0, "end": 0.5}, r"entry 1, end: 0\.5.*after start \(1\)"),
        ({"start": -1.0}, r"entry 1, start and offset: -1"),
        ({"audio": None}, r"entry 1: no audio"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(entry, said, audio, video):
    with pytest.raises(ConfigError, match=said):
        dialogue(video, {"audio": str(audio), **entry})


def test_a_missing_file_is_named(video, tmp_path):
    with pytest.raises(MediaError, match=r"nobody\.wav"):
        dialogue(video, {"audio": str(tmp_path / "nobody.wav")})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"input.audio": "x.wav"}, "each entry of speakers names its own audio"),
        ({"compat": "upstream"}, "knows one speaker"),
    ],
)
def test_settings_for_one_speech_exclude_several(flags, said, audio):
    with pytest.raises(ConfigError, match=said):
        load_config(None, flags={"speakers": [{"audio": str(audio)}], **flags})


def test_a_soundtrack_needs_speakers():
    with pytest.raises(ConfigError, match="applies to speakers only"):
        load_config(None, ["output.soundtrack=x.wav"])
