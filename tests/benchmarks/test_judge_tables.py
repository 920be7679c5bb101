"""The tables of the judge's benchmarks: what is beyond noise, what got worse, what is rounded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.reformatter import Colorspace

from benchmarks.judge_sensitivity import (
    AS_FILMED,
    SOUND_RATE,
    Filmed,
    change_over_noise,
    rows,
    worse,
    write_sound,
    write_video,
)
from benchmarks.quality import rounded
from benchmarks.quality import rows as quality_rows
from latentsync.media.audio.reader import read_audio
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from tests.support.media_factory import make_video


def figure(value: float, noise: float | None, better: str = "lower", **more: Any) -> dict[str, Any]:
    low, high = (None, None) if noise is None else (value - noise, value + noise)
    return {"value": value, "low": low, "high": high, "better": better, "unit": "px", **more}


def test_a_change_is_counted_in_units_of_the_noise_of_both() -> None:
    assert change_over_noise(figure(1.0, 0.3), figure(3.0, 0.4)) == pytest.approx(2 / 0.5)
    assert change_over_noise(figure(3.0, 0.3), figure(1.0, 0.4)) == pytest.approx(-4)
    assert math.isnan(change_over_noise(figure(1.0, None), figure(3.0, 0.4)))


def test_worse_is_what_the_figure_says() -> None:
    assert worse(figure(1, 0), 1.0, 2.0)
    assert worse(figure(1, 0, "higher"), 2.0, 1.0)
    near = figure(1, 0, "near", goal=1.0)
    assert worse(near, 1.1, 0.5)
    assert not worse(near, 0.5, 1.1)


def test_what_got_worse_beyond_its_noise_stands_in_bold() -> None:
    found = {
        AS_FILMED: {"blur": figure(1.0, 0.1), "steady": figure(5.0, 1.0)},
        "a fault": {"blur": figure(2.0, 0.1), "steady": figure(5.5, 1.0)},
        "another": {"blur": figure(0.1, 0.1)},
    }
    head, blur, steady = rows(found)
    assert head == ["figure", AS_FILMED, "a fault", "another"]
    assert blur == ["blur", "1 px", "**2 (+7.1)**", "0.1 (-6.4)"]
    assert steady == ["steady", "5 px", "5.5 (+0.4)", "-"]


@pytest.mark.parametrize(
    ("value", "grain", "text"),
    [(0.4712, 0.05, "0.45"), (12.34, 1.5, "12"), (0.4712, 0.0, "0.471"), (-0.01, 0.3, "0.0")],
)
def test_values_are_rounded_to_what_means_something(value: float, grain: float, text: str) -> None:
    assert rounded(value, grain) == text


def test_the_quality_table_marks_grades_and_leaves_out_what_was_not_measured() -> None:
    found = {
        "clip: Detail": {"blur": figure(2.0, 0.1) | {"grade": "poor"}},
        "clip: Self": {"other": figure(1.0, 0.1) | {"grade": None, "unit": ""}},
    }
    assert quality_rows(found) == [
        ["figure", "clip: Detail", "clip: Self"],
        ["blur [px]", "2 -", ""],
        ["other", "", "1"],
    ]


def test_a_late_sound_begins_with_silence_and_is_as_long(tmp_path: Path) -> None:
    write_sound(np.full(SOUND_RATE, 0.5, np.float32), 0.25, tmp_path / "late.wav")
    samples = read_audio(tmp_path / "late.wav", SOUND_RATE)
    assert len(samples) == SOUND_RATE
    assert np.flatnonzero(samples)[0] == SOUND_RATE // 4


def test_variants_have_the_clip_s_own_colours_and_times(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "in.mp4", matrix=Colorspace.ITU709, colors={"colorspace": 1})
    filmed = Filmed(probe(clip), [None] * 5)
    write_video(filmed.frames(), filmed, tmp_path / "out.mp4")
    originals = VideoReader(clip, stop=5)
    for one, other in zip(VideoReader(tmp_path / "out.mp4"), originals, strict=True):
        assert one.pts_seconds == other.pts_seconds
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 2
