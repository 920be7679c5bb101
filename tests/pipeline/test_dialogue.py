"""Several speeches in one video: who speaks when, and what is refused."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
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


def test_the_audio_of_the_video_stays_under_the_speeches_where_it_is_asked_for(audio, video):
    levels = []
    for mix in (None, "-6dB"):
        made = dialogue(video, {"audio": str(audio), "start": 1.0}, **{"output.mix": mix})
        spoken = read_audio(made.soundtrack)[SAMPLE_RATE * 5 // 4 : SAMPLE_RATE * 5 // 2]
        tone = np.exp(-2j * np.pi * 440 * np.arange(len(spoken)) / SAMPLE_RATE)
        levels.append(abs(spoken @ tone) / len(spoken))
    assert levels[1] > 20 * levels[0], "440 Hz is the video's"


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
        ({"start": float("nan")}, r"entry 1, start: nan; use a finite number"),
        ({"end": float("inf")}, r"entry 1, end: inf; use a finite number"),
        ({"offset": float("nan")}, r"entry 1, offset: nan; use a finite number"),
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
        ({"input.audio": "x.wav"}, "its own person and its own audio"),
        ({"compat": "upstream"}, "knows one speaker"),
    ],
)
def test_settings_for_one_speech_exclude_several(flags, said, audio):
    with pytest.raises(ConfigError, match=said):
        load_config(None, flags={"speakers": [{"audio": str(audio)}], **flags})


def test_a_soundtrack_needs_speakers():
    with pytest.raises(ConfigError, match="applies to speakers only"):
        load_config(None, ["output.soundtrack=x.wav"])


def test_speech_beyond_the_end_of_the_video_is_noted_and_logged(audio, video, caplog):
    with caplog.at_level(logging.WARNING):
        made = dialogue(video, {"audio": str(audio), "start": 2.0})
    (note,) = made.notes
    assert note.startswith("speakers, entry 1: the last 1.00 s")
    assert "cut off, as the video ends at 3.00 s" in note
    assert [one.getMessage() for one in caplog.records] == [note]


def test_an_end_after_the_end_of_the_audio_is_noted(audio, video):
    fits = {"audio": str(audio), "end": 2.0}
    made = dialogue(video, fits, {"audio": str(audio), "end": 2.75, "offset": 0.5})
    (note,) = made.notes
    assert note.startswith("speakers, entry 2, end: 2.75;")
    assert "a.wav is over at 1.50 s" in note
    assert made.entries[1][1].end == pytest.approx(1.5, abs=0.001)


def test_what_is_heard_whole_is_not_noted(audio, video, caplog):
    made = dialogue(video, {"audio": str(audio), "start": 0.25, "end": 2.26})
    assert made.notes == [] and not caplog.records


@pytest.mark.parametrize(("start", "seconds"), [(0.5, 3.0), (2.0, 4.0)])
def test_without_a_stated_length_the_soundtrack_holds_all_that_is_heard(
    start, seconds, audio, video
):
    made = dialogue(replace(video, duration_seconds=0.0), {"audio": str(audio), "start": start})
    # AAC ends with a whole packet, of 23 ms.
    assert len(read_audio(made.soundtrack)) / SAMPLE_RATE == pytest.approx(seconds, abs=0.03)


def test_without_a_stated_length_and_audio_the_entries_give_it(audio, video):
    silent = replace(video, duration_seconds=0.0, audio=())
    made = dialogue(silent, {"audio": str(audio), "start": 0.5})
    assert len(read_audio(made.soundtrack)) / SAMPLE_RATE == pytest.approx(2.5, abs=0.001)


def test_without_a_folder_for_temporary_files_the_remedy_is_said(
    audio, video, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    made = dialogue(video, {"audio": str(audio)})
    with pytest.raises(MediaError, match=r"cannot write the soundtrack: .*TMPDIR"):
        _ = made.soundtrack
