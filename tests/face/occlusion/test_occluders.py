"""The container of masks."""

import numpy as np
import pytest

from latentsync.face.occlusion.occluders import Occluders


def mask(row):
    made = np.zeros((140, 105), np.uint8)
    made[row] = 255
    made[row + 1] = 51
    return made


def test_masks_come_back_between_0_and_1():
    found = Occluders({7: mask(3)}).mask_of(7)
    assert found.dtype == np.float32 and found.shape == (140, 105)
    assert found[3, 0] == 1 and found[4, 0] == np.float32(51 / 255) and found[5].max() == 0


def test_a_frame_without_an_occluder_has_none():
    occluders = Occluders({7: mask(3), 8: np.zeros((140, 105), np.uint8)})
    assert occluders.mask_of(6) is None and occluders.mask_of(8) is None
    assert list(occluders) == [7] and len(occluders) == 1


def test_arrays_give_the_same_masks_again():
    occluders = Occluders({9: mask(30), 2: mask(3)})
    again = Occluders.from_arrays(occluders.arrays())
    assert list(again) == [2, 9]
    assert all(np.array_equal(again.mask_of(i), occluders.mask_of(i)) for i in (2, 9))
    assert len(Occluders.from_arrays(Occluders().arrays())) == 0


def test_arrays_that_do_not_fit_together_are_refused():
    arrays = Occluders({2: mask(3)}).arrays()
    with pytest.raises(ValueError, match="equally long"):
        Occluders.from_arrays(arrays | {"sizes": arrays["sizes"] + 1})


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match="140, 105"):
        Occluders({0: np.ones((10, 10), np.uint8)})


def test_a_frame_takes_about_a_kilobyte():
    assert sum(len(value) for value in [Occluders({2: mask(3)}).arrays()["data"]]) < 1000
