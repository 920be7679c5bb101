"""latentsync.media.audio.assembler: audio laid out by its own time stamps."""

from __future__ import annotations

import av
import numpy as np
import pytest

from latentsync.media.audio.assembler import AudioAssembler
from latentsync.media.container import DecodeIssues

RATE = 16000


def frame(count: int = 160, *, rate: int = RATE, value: int = 16384) -> av.AudioFrame:
    made = av.AudioFrame.from_ndarray(np.full((1, count), value, np.int16), "s16", "mono")
    made.sample_rate = rate
    return made


def laid_out(*stamps: float | None, issues: DecodeIssues | None = None) -> np.ndarray:
    """10 ms of audio at each second; None: after the one before."""
    assembler = AudioAssembler(RATE, issues or DecodeIssues())
    pieces = [piece for second in stamps for piece in assembler.place(frame(), second)]
    samples = np.concatenate([*pieces, *assembler.flush()])
    assert assembler.length == len(samples)
    return samples


def test_a_gap_in_the_track_is_silent() -> None:
    samples = laid_out(0.0, 0.01, 0.5)
    assert len(samples) == round(0.51 * RATE)
    assert samples[: round(0.02 * RATE)].all() and samples[round(0.5 * RATE) :].all()
    assert not samples[round(0.02 * RATE) : round(0.5 * RATE)].any()


def test_rounded_and_missing_time_stamps_leave_no_gaps() -> None:
    assert laid_out(0.0, 0.011, 0.019, None, 0.041).all()


def test_samples_before_zero_are_dropped() -> None:
    samples = laid_out(-0.015, -0.005)
    assert len(samples) == round(0.005 * RATE) and samples.all()


def test_a_concatenated_recording_continues() -> None:
    issues = DecodeIssues()
    samples = laid_out(8.0, 8.01, 0.0, 0.01, 0.53, issues=issues)
    assert len(samples) == round(8.56 * RATE)
    assert "audio's time stamps jump" in str(issues)


def test_an_absurd_time_stamp_adds_no_hours_of_silence() -> None:
    issues = DecodeIssues()
    assert len(laid_out(0.0, 1e9, 1e9 + 0.01, issues=issues)) == round(0.03 * RATE)
    assert "first" not in str(issues), "the stamps that follow a jump are in order again"


def test_a_change_of_rate_and_channels_is_followed() -> None:
    assembler = AudioAssembler(RATE, DecodeIssues())
    stereo = av.AudioFrame.from_ndarray(np.full((1, 9600), 16384, np.int16), "s16", "stereo")
    stereo.sample_rate = 48000
    pieces = [*assembler.place(frame(1600), 0.0), *assembler.place(stereo, 0.1), *assembler.flush()]
    samples = np.concatenate(pieces)
    assert len(samples) == pytest.approx(0.2 * RATE, abs=1)
    assert (np.abs(samples[50:-50] - 16384) < 400).mean() > 0.95  # but for the ringing at the joint
