"""Upstream's tracks, shot by shot; their equality with the original is in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.evaluate.sync.tracks import overlap, shot_tracks

BOX = np.array([100.0, 100.0, 260.0, 260.0])


def still(count: int, box: np.ndarray = BOX) -> list[list[np.ndarray]]:
    return [[box.copy()] for _ in range(count)]


def test_no_track_goes_on_across_a_cut() -> None:
    shots = np.repeat([0, 1], 60)
    tracks = shot_tracks(still(120), shots)
    assert [(one.start, one.stop) for one in tracks] == [(0, 60), (60, 120)]


def test_a_short_shot_has_no_track_and_the_next_keeps_its_times() -> None:
    tracks = shot_tracks(still(100), np.repeat([0, 1], [40, 60]))
    assert [(one.start, one.stop) for one in tracks] == [(40, 100)]
    assert tracks[0].audio_span == (1.6, 4.0)


def test_small_faces_have_no_track() -> None:
    small = BOX / 2  # 80 pixels
    assert shot_tracks(still(60, small), np.zeros(60)) == []


@pytest.mark.parametrize(("gap", "tracks"), [(25, 1), (26, 0)])
def test_a_gap_of_a_second_is_filled(gap: int, tracks: int) -> None:
    """Of 30 frames each, which are too short alone."""
    frames = [*still(30), *([[]] * (gap - 1)), *still(30, BOX + 20)]
    found = shot_tracks(frames, np.zeros(len(frames)))
    assert len(found) == tracks
    if found:
        middle = found[0].boxes[29 + gap // 2]
        np.testing.assert_allclose(middle, BOX + 20 * (gap // 2) / gap)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(BOX, BOX) == 1.0
    assert overlap(BOX, BOX + 200) == 0.0
    assert overlap(BOX, BOX + np.array([80, 0, 80, 0])) == pytest.approx(1 / 3)
