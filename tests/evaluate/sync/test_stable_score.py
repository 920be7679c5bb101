"""Pairs of 16 faces and their audio, for StableSyncNet, and its accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from latentsync.evaluate.sync.accuracy import Accuracy, drawn_pairs, told
from latentsync.evaluate.sync.stable_score import (
    AlignedRun,
    StableScore,
    lower_half,
    mel_window,
    pairs_in_order,
)
from latentsync.geometry import ALIGNED_HEIGHT, ALIGNED_WIDTH, square

WHOLE = np.array([[1.0, 0, 0], [0, 1.0, 0]])  # a frame that is an aligned crop
MEL = np.broadcast_to(np.arange(400, dtype=np.float32), (80, 400))  # 5 s: its columns' numbers


def run_of(start: int, count: int) -> AlignedRun:
    return AlignedRun(start, np.tile(WHOLE, (count, 1, 1)))


def test_pairs_follow_each_other_without_overlap_within_a_run() -> None:
    pairs = pairs_in_order([run_of(3, 50), run_of(90, 15), run_of(110, 16)])
    assert [pair.start for pair in pairs] == [3, 19, 35, 110]
    assert all(pair.audio == pair.start for pair in pairs)
    assert pairs[0].middle == pytest.approx(10.5 / 25)


def test_the_mel_window_begins_with_the_first_frame_and_is_of_52_columns() -> None:
    for start, column in ((0, 0), (1, 3), (5, 16), (7, 22)):
        window = mel_window(MEL, start)
        assert window is not None
        assert (window[0, 0], window.shape) == (column, (80, 52))


def test_there_is_no_window_after_the_end_of_the_audio() -> None:
    assert mel_window(MEL[:, :51], 0) is None
    assert mel_window(MEL, 109) is not None
    assert mel_window(MEL, 110) is None


def test_the_lower_half_is_that_of_latentsync_s_face_of_256() -> None:
    frame = np.zeros((ALIGNED_HEIGHT, ALIGNED_WIDTH, 3), np.uint8)
    frame[ALIGNED_HEIGHT // 2 :] = 255
    frame[-2:] = 0
    half = lower_half(frame, WHOLE)
    assert half.shape == (3, 128, 256)
    assert half[:, 3:-3].min() > 0.99
    _, y = square(256) @ [0, ALIGNED_HEIGHT - 1.5, 1]  # the dark rows lie at the bottom
    assert half[0, round(y) - 128, 100] < 0


class Brightness:
    """Agrees where the faces' brightness says the column that the audio begins with."""

    def __call__(self, faces: Tensor, mel: np.ndarray) -> float:
        assert faces.shape == (16, 3, 128, 256)
        first = float(faces[0].mean() + 1) * 127.5
        steps = (faces.mean(dim=(1, 2, 3)).diff() * 127.5).round()
        assert bool((steps == 1).all())  # consecutive frames
        return 1.0 if int(80 * round(first) // 25) == mel[0, 0] else 0.0


def collected(score: StableScore, count: int) -> StableScore:
    for instant in range(count):
        if score.wants(instant):
            score.add(np.full((ALIGNED_HEIGHT, ALIGNED_WIDTH, 3), instant, np.uint8), instant)
    return score


def test_each_pair_is_of_its_own_frames_and_audio() -> None:
    run = run_of(2, 60)
    starts = [(2, 2), (9, 9), (12, 30), (20, 120)]  # of frames, which overlap, and audio
    pairs = [run.pair(*both) for both in starts]
    score = collected(StableScore(pairs, MEL, Brightness()), 70)
    np.testing.assert_array_equal(score.cosines, [1, 1, 0, np.nan])


def test_a_pair_without_audio_is_not_known_and_its_frames_are_not_wanted() -> None:
    score = collected(StableScore(pairs_in_order([run_of(100, 32)]), MEL, Brightness()), 140)
    np.testing.assert_array_equal(np.isnan(score.cosines), [False, True])
    assert not score.wants(120)


def test_half_of_the_drawn_pairs_are_right_and_a_seed_draws_them_again() -> None:
    runs = [run_of(0, 40), run_of(60, 30), run_of(200, 90)]  # after the end of the audio
    pairs = drawn_pairs(runs, MEL, count=20, seed=5)
    assert [pair.start == pair.audio for pair in pairs] == [True] * 10 + [False] * 10
    assert all(0 <= pair.start <= 74 and 0 <= pair.audio <= 74 for pair in pairs)
    again = drawn_pairs(runs, MEL, count=20, seed=5)
    assert [(p.start, p.audio) for p in pairs] == [(p.start, p.audio) for p in again]
    other = drawn_pairs(runs, MEL, count=20, seed=6)
    assert [(p.start, p.audio) for p in pairs] != [(p.start, p.audio) for p in other]


def test_there_are_no_pairs_where_one_has_no_other_to_be_mistaken_for() -> None:
    assert drawn_pairs([run_of(0, 16), run_of(30, 8)], MEL) == []


def test_accuracy_counts_both_kinds_and_adds_up() -> None:
    run = run_of(0, 40)
    pairs = [run.pair(0, 0), run.pair(1, 1), run.pair(2, 2), run.pair(3, 9), run.pair(4, 9)]
    found = told(pairs, np.array([0.9, 0.4, np.nan, 0.5, 0.8]))
    assert found == Accuracy(right=1, right_pairs=2, wrong=1, wrong_pairs=2)
    assert (found + Accuracy(2, 2, 2, 2)).share == pytest.approx(6 / 8)
    assert np.isnan(Accuracy().share)
