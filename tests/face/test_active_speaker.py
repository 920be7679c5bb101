"""Crops of mouths at 25 a second, and their scores in blocks; the network is a stand-in."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.face import active_speaker
from latentsync.face.active_speaker import MouthClips, mouth_crop, smooth_squares, windowed_mean

SQUARE = np.array([60.0, 50.0, 20.0])
CEPSTRA = np.arange(100 * 130, dtype=np.float32).repeat(13).reshape(-1, 13)  # row i holds i


def brightness_and_row(crops: np.ndarray, cepstra: np.ndarray) -> np.ndarray:
    """A stand-in for the network: each frame's grey value, and the number of its first cepstra."""
    assert len(cepstra) == 4 * len(crops)
    return np.column_stack([crops[:, 56, 56], cepstra[::4, 0]])


def grey(value: int) -> np.ndarray:
    return np.full((100, 120, 3), value, np.uint8)


def collected(times: list[float], *, track: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Frame i has the grey value i."""
    clips = MouthClips(brightness_and_row, CEPSTRA)
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


def test_blocks_are_scored_as_they_fill_and_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [number / 25 for number in range(95)]
    whole = collected(times)
    monkeypatch.setattr(active_speaker, "BLOCK", 10)
    sizes: list[int] = []

    def counted(crops: np.ndarray, cepstra: np.ndarray) -> np.ndarray:
        sizes.append(len(crops))
        return brightness_and_row(crops, cepstra)

    clips = MouthClips(counted, CEPSTRA)
    for number, seconds in enumerate(times):
        clips.add(grey(number), seconds, {3: SQUARE})
    assert sizes == [10] * 9
    for one, other in zip(clips.finish()[3], whole, strict=True):
        np.testing.assert_array_equal(one, other)
    assert max(sizes) == 10


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
