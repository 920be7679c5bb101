"""latentsync.media.decoder: time stamps are corrected."""

from __future__ import annotations

from fractions import Fraction

from latentsync.media.decoder import PtsNormalizer


def ticks(stamps: list[int | None], step: Fraction = Fraction(40)) -> list[int]:
    normalizer = PtsNormalizer(step=step, restart=1000)
    return [normalizer.normalize(stamp) for stamp in stamps]


def test_good_time_stamps_pass_untouched() -> None:
    assert ticks([0, 40, 41, 500]) == [0, 40, 41, 500]


def test_missing_time_stamps_are_counted_without_drift() -> None:
    assert ticks([None, None, None, None], Fraction(100, 3)) == [0, 33, 67, 100]
    assert ticks([0, 40, None, None, 160]) == [0, 40, 80, 120, 160]


def test_a_time_stamp_that_repeats_or_steps_back_moves_alone() -> None:
    assert ticks([0, 40, 40, 80]) == [0, 40, 41, 80]
    assert ticks([0, 40, 30, 80]) == [0, 40, 41, 80]


def test_a_concatenated_recording_continues_after_the_first() -> None:
    assert ticks([0, 40, 2000, 0, 40, 80]) == [0, 40, 2000, 2040, 2080, 2120]
