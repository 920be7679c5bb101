"""output.length: its words, those of earlier versions, and what goes with it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from latentsync.errors import ConfigError
from latentsync.settings.lengths import LENGTHS, decibels, output_rate
from latentsync.settings.load import load_config

SPEECH = "input.audio=a.wav"


@pytest.mark.parametrize("word", LENGTHS)
def test_each_word_is_taken(word):
    assert load_config(None, [SPEECH, f"output.length={word}"]).length == word


@pytest.mark.parametrize(
    ("file", "settings", "length"),
    [
        ("length: audio", [], "bounce"),
        ("length: pingpong", [], "bounce"),
        ("extend: pingpong", [], "bounce"),
        ("extend: loop", [], "loop"),
        ("extend: silence", [], "silence"),
        ("{length: audio, extend: hold}", [], "hold"),
        ("{length: video, extend: hold}", [], "video"),
        ("extend: hold", ["output.length=audio"], "hold"),
        ("extend: hold", ["output.length=bounce"], "bounce"),
        ("length: bounce", ["output.extend=loop"], "loop"),
        ("length: video", ["output.extend=loop"], "video"),
        ("extend: hold", ["output.extend=loop"], "loop"),
    ],
)
def test_old_words_mean_what_they_meant(file, settings, length, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"output: {file if file[0] == '{' else '{' + file + '}'}", "utf-8")
    assert load_config(path, [SPEECH, *settings]).length == length


def test_an_old_key_is_named_with_what_takes_its_place(caplog):
    load_config(None, [SPEECH, "output.extend=loop"])
    assert [one.getMessage() for one in caplog.records] == [
        "output.extend is part of output.length now: using output.length=loop"
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([SPEECH, "output.length=boomerang"], r"output\.length: boomerang.*bounce.*remap"),
        ([SPEECH, "output.extend=boomerang"], r"output\.extend: boomerang.*use output\.length"),
        ([SPEECH, "output.max_remap=1.5"], r"output\.max_remap: 1\.5"),
        (["output.fps=fast"], r"output\.fps: fast.*1 to 240"),
        (["output.fps=25; rm"], r"output\.fps: 25; rm"),
        (["output.fps=1e999999999"], r"output\.fps: 1e999999999"),
        (["output.fps=1/0"], r"output\.fps: 1/0"),
        (["output.fps=0.5"], r"output\.fps: 0\.5"),
        ([SPEECH, "output.mix=quiet"], r"output\.mix: quiet.*-18dB"),
        ([SPEECH, "output.mix=6dB"], r"output\.mix: 6dB.*-60 to 0"),
        ([SPEECH, "input.audio_offset=.nan"], r"input\.audio_offset: nan.*finite"),
        ([SPEECH, "input.audio_offset=soon"], r"input\.audio_offset: soon"),
        (["output.mix=-18dB"], r"output\.mix.*new speech only.*--audio_path"),
        (["input.audio_offset=1"], r"input\.audio_offset.*new speech only.*--audio_path"),
        ([SPEECH, "compat=upstream", "input.audio_offset=1"], "no effect with compat=upstream"),
        ([SPEECH, "compat=upstream", "output.length=hold"], "compat=upstream has 25 fps"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(settings, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(None, settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("output.length=loop", "as long as the video"),
        ("input.audio_offset=1", "its own start"),
        ("output.mix=-18dB", "all that is heard"),
    ],
)
def test_speakers_have_times_and_a_soundtrack_of_their_own(setting, said):
    flags = {"speakers": [{"audio": "a.wav"}], "output.soundtrack": "b.wav"}
    with pytest.raises(ConfigError, match=said):
        load_config(None, [setting], flags=flags)


@pytest.mark.parametrize("text", ["-18dB", "-18", "-18.0 db", " -18 dB "])
def test_a_level_is_in_decibels_with_or_without_saying_so(text):
    assert decibels(text) == -18
    assert load_config(None, [SPEECH, f"output.mix={text}"]).output.mix is not None


@pytest.mark.parametrize("text", ["25", "29.97", "30000/1001", "240", "1"])
def test_a_frame_rate_is_a_number_or_a_fraction(text):
    assert output_rate(text) == Fraction(text)
    assert output_rate("source") is None
