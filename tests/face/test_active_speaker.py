"""Crops of mouths at 25 a second, and their scores in blocks; the network is a stand-in."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from latentsync.face import active_speaker
from latentsync.face.active_speaker import (
    CONTEXT,
    CROP,
    MouthClips,
    MouthScorer,
    mouth_crop,
    smooth_squares,
    windowed_mean,
)

SQUARE = np.array([60.0, 50.0, 20.0])
CEPSTRA = np.arange(100 * 130, dtype=np.float32).repeat(13).reshape(-1, 13)  # row i holds i


def brightness_and_row(
    crops: np.ndarray, cepstra: np.ndarray, *, before: int = 0, after: int = 0
) -> np.ndarray:
    """A stand-in for the network: each frame's grey value, and the number of its first cepstra."""
    assert len(cepstra) == 4 * len(crops)
    inner = slice(before, len(crops) - after)
    return np.column_stack([crops[inner, 56, 56], cepstra[::4, 0][inner]])


def mean_of_neighbours(
    crops: np.ndarray, cepstra: np.ndarray, *, before: int = 0, after: int = 0
) -> np.ndarray:
    """A stand-in that takes as much context as the network does."""
    values = brightness_and_row(crops, cepstra)
    windows = [values[max(i - CONTEXT, 0) : i + CONTEXT + 1] for i in range(len(values))]
    return np.array([each.mean(axis=0) for each in windows])[before : len(crops) - after]


def grey(value: int) -> np.ndarray:
    return np.full((100, 120, 3), value, np.uint8)


def collected(
    times: list[float], *, track: int = 3, score: MouthScorer = brightness_and_row
) -> tuple[np.ndarray, np.ndarray]:
    """Frame i has the grey value i."""
    clips = MouthClips(score, CEPSTRA)
    for number, seconds in enumerate(times):
        clips.add(grey(number), seconds, {track: SQUARE})
    return clips.finish()[track]


@pytest.mark.parametrize("rate", [10, 12.5, 23.976, 25, 30, 50, 60])
def test_every_25th_of_a_second_has_the_crop_of_the_nearest_frame(rate: float) -> None:
    times = [number / rate for number in range(int(3 * rate))]
    instants, scores = collected(times)
    np.testing.assert_allclose(np.diff(instants), 0.04)
    assert instants[0] == 0
    assert abs(instants[-1] - times[-1]) <= 0.021
    distance = np.abs(np.array(times)[scores[:, 0].astype(int)] - instants)
    nearest = np.abs(np.array(times) - instants[:, None]).min(axis=1)
    np.testing.assert_allclose(distance, nearest, atol=1e-6)


def test_a_frame_is_scored_with_the_audio_of_its_time() -> None:
    instants, scores = collected([2.0 + number / 25 for number in range(40)])
    np.testing.assert_allclose(scores[:, 1], instants * 100, atol=1e-3)


@pytest.mark.parametrize("count", [9, 20, 24, 95, 101])
def test_blocks_are_scored_as_they_fill_and_do_not_show(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [number / 25 for number in range(count)]
    whole = collected(times, score=mean_of_neighbours)
    monkeypatch.setattr(active_speaker, "BLOCK", 10)
    sizes: list[int] = []

    def counted(
        crops: np.ndarray, cepstra: np.ndarray, *, before: int = 0, after: int = 0
    ) -> np.ndarray:
        sizes.append(len(crops) - before - after)
        return mean_of_neighbours(crops, cepstra, before=before, after=after)

    clips = MouthClips(counted, CEPSTRA)
    for number, seconds in enumerate(times):
        clips.add(grey(number), seconds, {3: SQUARE})
    # The last crop comes with the next frame, and a block with the context behind it.
    assert sizes == [10] * ((count - 1 - CONTEXT) // 10)
    for one, other in zip(clips.finish()[3], whole, strict=True):
        np.testing.assert_allclose(one, other)
    assert sum(sizes) == count and max(sizes) <= 10


def test_who_leaves_is_scored_soon_after() -> None:
    """Else the crops of all people who were ever seen would wait for the end of the video."""
    crops, people, each = CROP * CROP, 40, 25
    clips = MouthClips(brightness_and_row, np.zeros((4 * people * each, 13), np.float32))
    frame = grey(7)
    tracemalloc.start()
    try:
        for number in range(people * each):
            clips.add(frame, number / 25, {number // each: SQUARE})
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Two people's crops, those of one as an array, and everybody's latest.
    assert most < crops * (3 * each + people + 60)
    assert sum(len(times) for times, _ in clips.finish().values()) == people * each


def test_who_leaves_and_returns_has_the_scores_of_both_times() -> None:
    clips = MouthClips(brightness_and_row, CEPSTRA)
    for number in range(80):
        clips.add(grey(number), number / 25, {} if 20 <= number < 60 else {3: SQUARE})
    instants, scores = clips.finish()[3]
    np.testing.assert_array_equal(scores[:, 0], [*range(20), *range(60, 80)])
    np.testing.assert_allclose(instants * 25, scores[:, 0])


def test_what_lies_before_the_video_s_zero_is_not_scored() -> None:
    instants, scores = collected([number / 25 - 0.2 for number in range(30)])
    np.testing.assert_allclose(instants, np.arange(25) / 25)
    np.testing.assert_array_equal(scores[:, 0], np.arange(5, 30))


def test_a_crop_holds_its_own_memory_only() -> None:
    crop = mouth_crop(grey(1), SQUARE)
    assert (crop if crop.base is None else crop.base).nbytes == CROP * CROP


def test_no_crops_are_made_up_where_the_face_is_away() -> None:
    times = [number / 25 for number in (*range(20), *range(60, 80))]
    instants, scores = collected(times)
    np.testing.assert_allclose(instants, times)
    np.testing.assert_array_equal(scores[:, 0], np.arange(40))


def test_two_faces_are_kept_apart() -> None:
    clips = MouthClips(brightness_and_row, CEPSTRA)
    frame = np.concatenate([grey(10), grey(200)], axis=1)
    for number in range(5):
        clips.add(frame, number / 25, {1: SQUARE, 2: SQUARE + np.array([120, 0, 0])})
    found = clips.finish()
    assert set(found[1][1][:, 0]) == {10} and set(found[2][1][:, 0]) == {200}


def test_after_the_end_of_the_audio_there_are_no_scores() -> None:
    clips = MouthClips(brightness_and_row, CEPSTRA[:42])
    for number in range(30):
        clips.add(grey(number), number / 25, {0: SQUARE})
    assert len(clips.finish()[0][0]) == 10
    silent = MouthClips(brightness_and_row, CEPSTRA[:0])
    silent.add(grey(1), 0.0, {0: SQUARE})
    assert silent.finish() == {}


def test_the_crop_is_the_middle_of_a_square_below_the_face_s_centre() -> None:
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[240 - 3 : 240 + 3, 200 - 3 : 200 + 3] = 255  # 0.4 half sides below the centre
    crop = mouth_crop(frame, np.array([200.0, 200.0, 100.0]))
    assert crop.shape == (112, 112)
    rows, columns = np.nonzero(crop > 128)
    assert abs(rows.mean() - 55.5) < 1 and abs(columns.mean() - 55.5) < 1
    assert np.ptp(rows) + 1 == pytest.approx(6 * 224 / 280, abs=1.5)


def test_beyond_the_frame_the_crop_is_grey() -> None:
    crop = mouth_crop(grey(255), np.array([0.0, 50.0, 40.0]))
    assert (crop[:, :50] == 110).all() and (crop[:, 60:] == 255).all()
    assert (mouth_crop(grey(255), np.array([900.0, 900.0, 40.0])) == 110).all()


def test_one_wrong_box_does_not_move_the_crop_nor_does_the_end_of_a_track() -> None:
    boxes = np.tile([10.0, 20.0, 50.0, 80.0], (30, 1))
    boxes[12] += 500
    np.testing.assert_allclose(smooth_squares(boxes), np.tile([30.0, 50.0, 30.0], (30, 1)))


def test_upstream_s_smoothing_pads_with_zeros() -> None:
    growing = np.array([[0.0, 0.0, 2.0 * size, 2.0 * size] for size in range(10, 40)])
    ours, theirs = smooth_squares(growing), smooth_squares(growing, beyond="constant")
    np.testing.assert_allclose(ours[0], 10)  # six copies of the first box, and the next six
    np.testing.assert_allclose(theirs[-1], 33)  # the least of the last seven: the others are 0
    np.testing.assert_allclose(ours[6:-6], theirs[6:-6])


def test_windows_are_averaged_as_often_as_they_are_listed() -> None:
    def length(start: int, stop: int) -> np.ndarray:
        return np.full(stop - start, (stop - start) / 25)

    first, last = windowed_mean(length, 300)[[0, 299]]
    assert first == pytest.approx((3 * 1 + 3 * 2 + 2 * 3 + 4 + 5 + 6) / 11)
    assert last == pytest.approx((3 * 1 + 3 * 2 + 2 * 3 + 4 + 2 + 6) / 11)
