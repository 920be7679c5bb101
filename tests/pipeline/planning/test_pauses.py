"""In pauses of the new speech the mouth is filmed, if it is still, or closed; never in speech."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.generate.replay.lips import BROW_LEFT, BROW_RIGHT, LIP_LOWER
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.pauses import (
    RAMP,
    PauseMouths,
    pause_mouths,
    ramped,
    still_lips,
)
from latentsync.types import Alignment
from tests.support.plans import analysis_of

FPS = 25
TALKING = 0.1 + 0.08 * np.sin(np.arange(200) * 1.3)
"""Apertures of lips that talk, in distances between the brows."""


def lips(aperture: np.ndarray, track: int = 0) -> list[Alignment]:
    points = np.zeros((len(aperture), 11, 2), np.float32)
    points[:, BROW_LEFT, 0], points[:, BROW_RIGHT, 0] = -50, 50
    points[:, LIP_LOWER, 1] = 100 * aperture
    return [Alignment(np.eye(2, 3, dtype=np.float32), one, 1.0, track) for one in points]


def analysis(aperture: np.ndarray) -> SourceAnalysis:
    return analysis_of(lips(aperture))


def speaking(*parts: tuple[float, bool]) -> np.ndarray:
    return np.concatenate([np.full(round(seconds * 100), spoken) for seconds, spoken in parts])


SPEECH = speaking((2, True), (2, False), (2, True))
"""A pause from 2 to 4 s, which are frames 50 to 99."""


def mouths(silence: str, aperture: np.ndarray, speech: np.ndarray = SPEECH) -> PauseMouths:
    count = len(aperture)
    frames = np.arange(count)
    return pause_mouths(
        silence,
        speech,
        analysis(aperture),
        seconds=frames / FPS,
        source=frames,
        jumps=np.zeros(count, bool),
    )


def test_the_model_s_mouth_is_shown_throughout_if_asked_for() -> None:
    found = mouths("model", np.full(150, 0.01))
    assert (found.shown == 1).all() and (found.closed == 0).all()


def test_still_lips_are_shown_as_filmed() -> None:
    filmed = np.concatenate([TALKING[:40], np.full(70, 0.01), TALKING[:40]])
    found = mouths("original", filmed)
    assert (found.closed == 0).all()
    assert (found.shown[54:95] == 0).all(), "in the pause"
    assert (found.shown[:50] == 1).all() and (found.shown[99:] == 1).all(), "in the speech"


def test_lips_that_talk_in_the_pause_are_closed() -> None:
    found = mouths("original", TALKING[:150])
    assert (found.shown == 1).all()
    assert (found.closed[54:95] == 1).all()
    assert (found.closed[:50] == 0).all() and (found.closed[99:] == 0).all()


def test_closed_closes_still_lips_as_well() -> None:
    filmed = np.concatenate([TALKING[:40], np.full(70, 0.01), TALKING[:40]])
    found = mouths("closed", filmed)
    assert (found.shown == 1).all() and (found.closed[54:95] == 1).all()


def test_open_lips_are_not_shown_though_they_are_still() -> None:
    filmed = np.concatenate([TALKING[:40], np.full(70, 0.15), TALKING[:40]])
    assert (mouths("original", filmed).shown == 1).all()


def test_where_the_filmed_lips_begin_to_talk_they_turn_into_closed_ones() -> None:
    filmed = np.concatenate([TALKING[:40], np.full(35, 0.01), TALKING[:75]])
    found = mouths("original", filmed)
    assert found.shown[60] == 0 and found.shown[80] == 1
    assert (found.closed[54:95] == 1).all(), "the generated mouth does not flash up in between"


def test_a_short_pause_is_part_of_the_speech() -> None:
    for seconds, closes in ((0.2, False), (0.5, True)):
        speech = speaking((2, True), (seconds, False), (2, True))
        assert mouths("closed", TALKING[:100], speech).closed.any() == closes


def test_mouths_change_over_three_frames_and_wholly_inside_the_pause() -> None:
    found = mouths("closed", TALKING[:150])
    np.testing.assert_allclose(found.closed[49:54], [0, 0.25, 0.5, 0.75, 1], atol=1e-3)
    np.testing.assert_allclose(found.closed[95:100], [1, 0.75, 0.5, 0.25, 0], atol=1e-3)


def test_the_ramp_lasts_as_long_at_another_frame_rate() -> None:
    seconds = np.arange(100) / 50
    flags = (seconds >= 0.5) & (seconds < 1.5)
    share = ramped(flags, seconds, np.zeros(100, bool))
    assert (seconds[share == 1][0] - 0.5) == pytest.approx(RAMP, abs=0.021)


def test_at_a_cut_and_at_the_ends_the_mouth_changes_at_once() -> None:
    seconds, jumps = np.arange(20) / FPS, np.zeros(20, bool)
    jumps[10] = True
    flags = np.ones(20, bool)
    assert (ramped(flags, seconds, jumps) == 1).all()
    flags[10:] = False
    assert (ramped(flags, seconds, jumps) == flags).all()


def test_stillness_is_relative_to_the_person_s_own_lips() -> None:
    small, shut = 0.4 * TALKING, np.full(50, 0.008)
    for lips_of_one in (TALKING, np.concatenate([small, shut])):
        assert not still_lips(analysis(lips_of_one))[:190].any()
    assert still_lips(analysis(np.concatenate([small, shut])))[205:].all()
    assert still_lips(analysis(0.06 + 0.02 * TALKING)).all(), "who never opens the lips is still"


def test_frames_without_a_face_are_not_still() -> None:
    filmed = analysis(np.full(50, 0.01))
    without = [None if i == 20 else one for i, one in enumerate(filmed.alignments)]
    still = still_lips(replace(filmed, alignments=without))
    assert not still[20] and still[30]
