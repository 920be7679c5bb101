"""Which frames and which part of the audio a sample is made of."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from latentsync.training.data.order import EpochOrder
from latentsync.training.data.windows import (
    draw_away,
    draw_start,
    latest_start,
    mel_start,
    mel_tokens,
    mel_window,
    needed_frames,
)

RANDOM = np.random.default_rng(0)


def test_every_window_of_the_shortest_clip_has_another_one_far_enough_away() -> None:
    for length, distance in ((16, 16), (16, 1), (8, 20), (1, 1)):
        last = needed_frames(length, distance) - length
        for start in range(last + 1):
            away = {draw_away(RANDOM, start, last, distance) for _ in range(30)}
            assert all(abs(one - start) >= distance and 0 <= one <= last for one in away)


def test_windows_away_are_drawn_uniformly_from_all_there_are() -> None:
    drawn = [draw_away(RANDOM, 20, 60, 16) for _ in range(6000)]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [*range(5), *range(36, 61)]
    assert counts.min() > 130 and counts.max() < 280  # 200 are expected


def test_a_clip_without_a_window_far_enough_away_is_an_error_and_no_endless_search() -> None:
    with pytest.raises(ValueError, match="no window"):
        draw_away(RANDOM, 5, 10, 16)


def test_the_audio_window_is_upstreams() -> None:
    # int(80 * start / 25), 52 columns: unet_dataset.py:64-67
    for start in range(200):
        assert mel_start(start) == int(80.0 * (start / 25.0))
    mel = np.arange(80 * 400, dtype=np.float32).reshape(80, 400)
    window = mel_window(mel, 7)
    assert window.shape == (1, 80, 52)
    assert window[0, 3, 0] == mel[3, 22]


def test_the_last_window_ends_where_frames_or_audio_end() -> None:
    assert latest_start(100, 16) == 84
    assert latest_start(100, 16, columns=321) == 84  # 4 s of audio
    last = latest_start(100, 16, columns=200)
    assert mel_start(last) + 52 <= 200 < mel_start(last + 1) + 52
    assert latest_start(100, 16, columns=51) < 0


def test_mel_tokens_lie_around_their_frame() -> None:
    mel = np.tile(np.arange(100, dtype=np.float32), (80, 1))
    tokens = mel_tokens(mel, 10, 3)
    assert tokens.shape == (3, 16, 80)
    assert float(tokens[0].mean()) == pytest.approx(3.2 * 10.5, abs=1.1)
    assert float(mel_tokens(mel, 0, 1).min()) == 0  # the outermost column is repeated


def test_each_clip_comes_once_in_an_epoch_in_an_order_of_its_own() -> None:
    order = EpochOrder(7, seed=3)
    epochs = [[order.clip(order.place(n, i)) for i in range(7)] for n in range(3)]
    assert all(sorted(one) == list(range(7)) for one in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[1] == [EpochOrder(7, seed=3).clip(order.place(0, 7 + i)) for i in range(7)]


def test_a_clip_that_is_repeated_comes_as_often_as_the_others() -> None:
    order = EpochOrder(3, repeats=4)
    drawn = [order.clip(order.place(0, i)) for i in range(len(order))]
    assert np.bincount(drawn).tolist() == [4, 4, 4]


def test_the_others_of_a_place_are_all_other_clips_once() -> None:
    order = EpochOrder(4, repeats=3, seed=1)
    place = order.place(0, 5)
    others = list(islice(order.others(place), 10))
    assert sorted([*others, order.clip(place)]) == [0, 1, 2, 3]


def test_random_numbers_differ_by_seed_epoch_index_and_attempt() -> None:
    order = EpochOrder(5)
    places = [order.place(e, i) for e in range(3) for i in range(5)]
    drawn = {int(order.random(place, k).integers(2**63)) for place in places for k in range(2)}
    assert len(drawn) == 30
    assert draw_start(order.random(places[0]), 100) == draw_start(order.random(places[0]), 100)
