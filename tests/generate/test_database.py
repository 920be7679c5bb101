"""What a database keeps: the stretches with the most speech, and packed mouths."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.generate.replay.database import best_stretches, pack, unpack


def test_of_a_long_video_the_stretches_with_the_most_speech_are_kept() -> None:
    seconds = np.arange(2000) / 25  # ten stretches of 8 s
    speech, usable = np.zeros(2000, bool), np.ones(2000, bool)
    speech[450:600] = speech[1010:1190] = True
    usable[1050:1060] = False
    kept = best_stretches(seconds, usable, speech, limit=400)
    np.testing.assert_array_equal(np.unique(np.flatnonzero(kept) // 200), [2, 5])
    assert kept.sum() == 390


def test_a_short_video_is_kept_whole_and_a_small_limit_is_kept_to() -> None:
    seconds, usable = np.arange(100) / 25, np.arange(100) % 3 > 0
    every = best_stretches(seconds, usable, usable, limit=100)
    np.testing.assert_array_equal(every, usable)
    assert best_stretches(seconds, usable, usable, limit=10).sum() == 10


def test_a_packed_mouth_is_small_and_comes_back_as_the_lower_part_of_its_square() -> None:
    rows, columns = np.mgrid[:256, :256] / 256
    square = (np.stack([rows, columns, rows * columns], axis=-1) * 255).astype(np.uint8)
    data = pack(square)
    lower = unpack(data)
    assert lower.shape[1:] == (256, 3) and 0.5 < len(lower) / 256 < 0.6
    assert len(data) < lower.size / 8
    assert np.abs(lower.astype(int) - square[-len(lower) :]).max() <= 6


def test_what_is_no_packed_mouth_is_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes are no packed mouth"):
        unpack(b"nothing")
