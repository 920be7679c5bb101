"""A mouth put into another frame: it arrives, in the right colours, and nothing else changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from latentsync.face.masks import upstream_mask
from latentsync.generate.replay.database import FIRST_ROW, pack, unpack
from latentsync.generate.replay.head_pose import placement
from latentsync.generate.replay.transplant import (
    JAW_LIMIT,
    NOSTRILS,
    Mouth,
    Transplanter,
    band,
    inside_of,
    low_frequencies,
    skin_region,
)

SIDE = 256
SHUT, OPEN = 4.0, 50.0
REST = np.array([[129, 351], [291, 350], [207, 334], [208, 367], [206, 489], [205, 242]], float)
STAY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def mouth_points(aperture: float, jaw: float = 0.0) -> np.ndarray:
    """(5, 2) aligned pixels, the order of MOUTH."""
    y = 350.0
    return np.array(
        [[130, y], [290, y], [210, y - aperture / 2], [210, y + aperture / 2], [210, 480 + jaw]]
    )


def face(aperture: float, jaw: float = 0.0, tint: tuple[float, ...] = (0, 0, 0)) -> np.ndarray:
    """(R, R, 3) uint8 RGB: skin, two lips, a dark mouth between them, a dark line at the chin."""
    big = np.empty((560, 420, 3), np.float32)
    big[:] = (200, 160, 140)
    big -= np.linspace(0, 30, 420, dtype=np.float32)[None, :, None]
    half = int(aperture / 2)
    cv2.ellipse(big, (210, 350), (80, half + 18), 0, 0, 360, (180, 80, 80), -1)
    cv2.ellipse(big, (210, 350), (70, half), 0, 0, 360, (40, 20, 20), -1)
    cv2.ellipse(big, (210, 250), (26, 12), 0, 0, 360, (60, 40, 40), -1)  # the nostrils
    chin = int(480 + jaw)
    big[chin : chin + 6] *= 0.5
    big += np.array(tint, np.float32)
    small = cv2.resize(big, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small.round().clip(0, 255).astype(np.uint8)


def crop(square: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(square).permute(2, 0, 1).float() / 127.5 - 1


def lower(square: np.ndarray) -> np.ndarray:
    return square[round(SIDE * FIRST_ROW) :]


def levels(image: torch.Tensor) -> np.ndarray:
    return ((image.permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.float64)


@pytest.fixture(scope="module")
def transplanter() -> Transplanter:
    return Transplanter(upstream_mask(SIDE))


def put(
    transplanter: Transplanter, aperture: float, target: float = SHUT, **source: object
) -> torch.Tensor:
    donor = Mouth(lower(face(aperture, **source)), mouth_points(aperture), STAY)  # type: ignore[arg-type]
    return transplanter(crop(face(target)), mouth_points(target), REST, [donor])


def mouth_box(image: np.ndarray) -> np.ndarray:
    """The part about the lips."""
    return image[round(300 / 560 * SIDE) : round(400 / 560 * SIDE), SIDE // 4 : -SIDE // 4]


def test_its_own_mouth_leaves_a_face_as_it_was(transplanter: Transplanter) -> None:
    out = put(transplanter, SHUT)
    assert float((out - crop(face(SHUT))).abs().max()) < 0.5 / 127.5


@pytest.mark.parametrize(("donor", "target"), [(OPEN, SHUT), (SHUT, OPEN)])
def test_the_other_mouth_arrives_whole(
    transplanter: Transplanter, donor: float, target: float
) -> None:
    out = levels(put(transplanter, donor, target))
    wanted = face(donor).astype(np.float64)
    assert np.abs(mouth_box(out) - mouth_box(wanted)).mean() < 1.5
    assert np.abs(mouth_box(out) - mouth_box(face(target).astype(np.float64))).mean() > 8


def test_nothing_changes_where_the_mask_is_zero_nor_at_the_nostrils(
    transplanter: Transplanter,
) -> None:
    before = crop(face(SHUT))
    after = put(transplanter, OPEN, tint=(20, -10, 5))
    kept = torch.from_numpy(upstream_mask(SIDE) <= 0)
    assert torch.equal(after[:, kept], before[:, kept])
    rows = int(NOSTRILS / 560 * SIDE)
    assert float((after[:, :rows] - before[:, :rows]).abs().max()) < 1e-3


def test_the_crop_that_comes_in_is_left_alone(transplanter: Transplanter) -> None:
    before = crop(face(SHUT))
    kept = before.clone()
    donor = Mouth(lower(face(OPEN)), mouth_points(OPEN), STAY)
    transplanter(before, mouth_points(SHUT), REST, [donor])
    assert torch.equal(before, kept)


@pytest.mark.parametrize("light", [(1.1, 1.1, 1.1), (0.92, 0.92, 0.92), (0.94, 1.05, 0.97)])
def test_another_light_is_matched_to_the_skin_around(
    transplanter: Transplanter, light: tuple[float, ...]
) -> None:
    other = (face(OPEN) * np.array(light)).round().clip(0, 255).astype(np.uint8)
    donor = Mouth(lower(other), mouth_points(OPEN), STAY)
    gain = 1 / np.array(light)
    out = levels(transplanter(crop(face(SHUT)), mouth_points(SHUT), REST, [donor], gain=gain))
    wanted = face(OPEN).astype(np.float64)
    assert np.abs(mouth_box(out) - mouth_box(wanted)).mean() < 2.0


def test_the_inside_of_a_mouth_keeps_its_colour_where_the_seam_is_off(
    transplanter: Transplanter,
) -> None:
    """A seam on a grey wall takes red from the skin; of dark pixels nothing red would be left."""
    out = levels(put(transplanter, OPEN, tint=(-25, 20, 25)))
    at = round(350 / 560 * SIDE), round(210 / 420 * SIDE)
    np.testing.assert_allclose(out[at], (15, 40, 45), atol=3)


def test_the_inside_lies_between_the_lips_and_nowhere_in_a_shut_mouth() -> None:
    y, x = np.mgrid[:560, :420].astype(np.float64)
    grid = np.stack([x, y], axis=-1)
    inside = inside_of(grid, mouth_points(OPEN))
    assert inside[350, 210] == 1
    for row, column in ((320, 210), (380, 210), (350, 125), (350, 295), (330, 150)):
        assert inside[row, column] == 0
    assert inside_of(grid, mouth_points(0.0)).max() == 0


def test_two_equal_mouths_dissolve_into_the_same(transplanter: Transplanter) -> None:
    pixels, points = lower(face(OPEN)), mouth_points(OPEN)
    parts = [Mouth(pixels, points, STAY, share) for share in (0.3, 0.7)]
    both = transplanter(crop(face(SHUT)), mouth_points(SHUT), REST, parts)
    assert float((both - put(transplanter, OPEN)).abs().max()) < 1e-4


def test_a_dissolve_shows_one_mouth_of_a_shape_between(transplanter: Transplanter) -> None:
    """The height of the dark between the lips lies between the two; a plain dissolve of the
    images would be grey where only one of them is open."""
    parts = [
        Mouth(lower(face(aperture)), mouth_points(aperture), STAY, 0.5) for aperture in (20, 60)
    ]
    out = levels(transplanter(crop(face(SHUT)), mouth_points(SHUT), REST, parts))

    def dark_rows(image: np.ndarray) -> float:
        column = image[:, SIDE // 2].mean(axis=-1)
        return float((column[140:190] < 80).sum()) * 560 / SIDE

    assert dark_rows(face(20)) + 5 < dark_rows(out) < dark_rows(face(60)) - 5


def test_of_two_open_mouths_only_the_first_is_seen(transplanter: Transplanter) -> None:
    """Two rows of teeth in one mouth would show through each other."""
    green = face(OPEN)
    green[(green == (40, 20, 20)).all(axis=-1)] = (20, 200, 20)
    points = mouth_points(OPEN)
    seen = Mouth(lower(face(OPEN)), points, STAY, 2 / 3)
    out = transplanter(
        crop(face(SHUT)), mouth_points(SHUT), REST, [seen, Mouth(lower(green), points, STAY, 1 / 3)]
    )
    assert torch.equal(out, put(transplanter, OPEN))


def test_two_shut_mouths_are_dissolved(transplanter: Transplanter) -> None:
    def paled(share: float) -> torch.Tensor:
        pale = face(SHUT)
        pale[(pale == (180, 80, 80)).all(axis=-1)] = (200, 120, 120)
        parts = [
            Mouth(lower(pixels), mouth_points(SHUT), STAY, part)
            for pixels, part in ((face(SHUT), 1 - share), (pale, share))
        ]
        return transplanter(crop(face(SHUT)), mouth_points(SHUT), REST, parts)

    none, third, whole = (levels(paled(share)) for share in (0.0, 1 / 3, 1.0))
    np.testing.assert_allclose(third, none + (whole - none) / 3, atol=1.0)
    assert np.abs(whole - none).max() > 20


def test_the_jaw_goes_with_the_new_mouth(transplanter: Transplanter) -> None:
    """The dark line at the chin moves down by what the donor's is lower."""

    def chin_row(image: np.ndarray) -> float:
        column = image[200:, SIDE // 2].mean(axis=-1)
        dark = (column.max() - column).clip(30) - 30
        return float((dark * np.arange(len(dark))).sum() / dark.sum()) * 560 / SIDE

    fall = 12.0
    donor = Mouth(lower(face(OPEN, jaw=fall)), mouth_points(OPEN, jaw=fall), STAY)
    out = levels(transplanter(crop(face(SHUT)), mouth_points(SHUT), REST, [donor]))
    moved = chin_row(out) - chin_row(face(SHUT).astype(np.float64))
    assert fall - 4 < moved < fall + 2


def test_a_jaw_is_never_moved_so_far_that_the_skin_folds(transplanter: Transplanter) -> None:
    """A brightness that rises downwards in the target still does, whatever the donor asks for."""
    ramp = np.broadcast_to(np.arange(SIDE, dtype=np.uint8)[:, None, None], (SIDE, SIDE, 3)).copy()
    far = Mouth(lower(ramp), mouth_points(SHUT, jaw=-20 - 5 * JAW_LIMIT), STAY)
    out = levels(transplanter(crop(ramp), mouth_points(SHUT), REST, [far]))
    below = out[round(480 / 560 * SIDE) :, SIDE // 2, 0]
    assert (np.diff(below) > -0.5).all()


def test_a_mouth_that_lies_elsewhere_is_fetched_from_there(transplanter: Transplanter) -> None:
    """A head that nods carries its mouth 20 pixels down; the placement brings it back."""
    shifted = np.roll(face(OPEN), round(20 / 560 * SIDE), axis=0)
    down = round(20 / 560 * SIDE) * 560 / SIDE
    placed = placement(REST, REST + np.array([0, down]))
    donor = Mouth(lower(shifted), mouth_points(OPEN) + np.array([0, down]), placed)
    out = levels(transplanter(crop(face(SHUT)), mouth_points(SHUT), REST, [donor]))
    assert np.abs(mouth_box(out) - mouth_box(face(OPEN).astype(np.float64))).mean() < 1.5


def test_a_mouth_from_the_database_fits(transplanter: Transplanter) -> None:
    donor = Mouth(unpack(pack(face(OPEN))), mouth_points(OPEN), STAY)
    out = transplanter(crop(face(SHUT)), mouth_points(SHUT), REST, [donor])
    assert float((out - put(transplanter, OPEN)).abs().mean()) < 0.5 / 127.5


def test_the_region_holds_the_lips_and_ends_below_the_nostrils_and_above_the_chin() -> None:
    columns, rows = np.meshgrid(np.arange(420.0), np.arange(560.0))
    grid = np.stack([columns, rows], axis=-1)
    points = mouth_points(OPEN)
    region = skin_region(grid, REST, points, points)
    assert region[340:376, 140:280].min() > 0.9
    assert not region[: int(NOSTRILS)].any()
    assert not region[int(points[4, 1]) :].any()
    assert np.abs(np.diff(region, axis=0)).max() < 0.08
    assert band(region).max() == pytest.approx(1.0, abs=0.01) and band(np.ones(3)).max() == 0


def test_the_region_holds_lips_that_a_smile_draws_up_to_the_nose() -> None:
    columns, rows = np.meshgrid(np.arange(420.0), np.arange(560.0))
    points = mouth_points(SHUT) - [0, 40]
    region = skin_region(np.stack([columns, rows], axis=-1), REST, points, points)
    assert region[300:340, 160:260].min() > 0.9
    assert not region[: int(NOSTRILS) - 7].any()


def test_an_open_mouth_near_the_mask_s_edge_does_not_show_through_a_closed_one(
    transplanter: Transplanter,
) -> None:
    up = round(32 / 560 * SIDE)
    raised = np.array([0, up * 560 / SIDE])
    opened, shut = (np.roll(face(one), -up, axis=0) for one in (OPEN, SHUT))
    donor = Mouth(lower(shut), mouth_points(SHUT) - raised, STAY)
    out = levels(transplanter(crop(opened), mouth_points(OPEN) - raised, REST, [donor]))
    first, last = round(296 / 560 * SIDE), round(340 / 560 * SIDE)
    columns = slice(round(150 / 420 * SIDE), round(270 / 420 * SIDE))
    apart = np.abs(out - shut)[first:last, columns]
    assert apart.mean() < 0.1 * np.abs(opened.astype(float) - shut)[first:last, columns].mean()


def test_the_surface_is_fitted_despite_a_tenth_of_outliers() -> None:
    y, x = np.mgrid[-1:1:128j, -1:1:160j]
    truth = np.stack([0.2 + 0.1 * x, -0.1 * y + 0.05 * x * y, 0.1 * x * x], axis=-1)
    gap = truth.astype(np.float32)
    outliers = np.zeros(gap.shape[:2], bool)
    outliers[:40, :50] = True
    gap[outliers] += 0.8
    found = low_frequencies(gap, np.ones(gap.shape[:2], np.float32))
    assert np.abs(found - truth)[~outliers].mean() < 0.005


def test_without_a_seam_there_is_no_correction() -> None:
    gap = np.ones((64, 64, 3), np.float32)
    assert not low_frequencies(gap, np.zeros((64, 64), np.float32)).any()
