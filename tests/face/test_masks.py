"""The masks cover their regions: 1 where new pixels win, exactly 0 outside."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.errors import ConfigError
from latentsync.face.masks import REGIONS, region_mask, rest_mask, upstream_mask
from latentsync.geometry import ALIGNED_HEIGHT, ALIGNED_WIDTH, TEMPLATE

ALL = {**{region: region_mask(region) for region in REGIONS}, "rest": rest_mask()}


def at(mask: np.ndarray, x: float, y: float) -> float:
    return float(mask[round(y), round(x)])


def test_upstreams_mask_covers_what_upstreams_covers() -> None:
    """Figures of mask.png itself: 40.7 % of it, from y 0.371 to 0.949, the nose strip kept."""
    mask = upstream_mask(256)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert mask.mean() == pytest.approx(0.407, abs=5e-4)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (rows[0], rows[-1] + 1) == (95, 243)
    assert (columns[0], columns[-1] + 1) == (9, 248)
    assert not mask[:128, 78:178].any() and mask[128, 78:178].all()


def test_at_512_it_is_upstreams_resized_mask() -> None:
    """Lanczos on bytes leaves 136 code values and 3.5 % of the pixels between 0 and 1."""
    mask = upstream_mask(512)
    assert len(np.unique(mask)) == 136
    assert ((mask > 0) & (mask < 1)).mean() == pytest.approx(0.035, abs=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_a_mask_is_a_soft_image_of_the_aligned_crop(name) -> None:
    mask = ALL[name]
    assert mask.shape == (ALIGNED_HEIGHT, ALIGNED_WIDTH) and mask.dtype == np.float32
    assert mask.min() == 0 and mask.max() == 1
    assert not any(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    steepest = max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1))
    assert steepest < 0.11  # at least some 15 pixels from 0 to 1


@pytest.mark.parametrize("name", ALL)
def test_a_mask_cannot_be_changed_by_who_uses_it(name) -> None:
    with pytest.raises(ValueError, match="read-only"):
        ALL[name][0, 0] = 1


def test_the_lower_face_lies_inside_upstreams_region() -> None:
    rows = ((np.arange(ALIGNED_HEIGHT) + 0.5) * 256 / ALIGNED_HEIGHT).astype(int)
    columns = ((np.arange(ALIGNED_WIDTH) + 0.5) * 256 / ALIGNED_WIDTH).astype(int)
    generated = upstream_mask(256)[np.ix_(rows, columns)] == 1
    lower = region_mask("lower_face")
    assert not lower[~generated].any()
    assert (lower > 0)[generated].mean() > 0.98


def test_the_mouth_lies_inside_the_lower_face() -> None:
    mouth = region_mask("mouth") > 0
    assert (region_mask("lower_face")[mouth] > 0).all()
    assert mouth.sum() < 0.5 * (region_mask("lower_face") > 0).sum()


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("mouth", [(210, 325), (210, 405), (140, 350), (280, 350)], [(210, 272), (210, 500)]),
        ("lower_face", [(210, 350), (210, 450), (80, 300)], [(210, 224), (126, 176), (15, 530)]),
        ("face", [(210, 224), (126, 176), (300, 176), (210, 440)], [(10, 10), (410, 550)]),
        (
            "rest",
            [(126, 176), (300, 176), (150, 112), (210, 176)],
            [(210, 30), (20, 150), (210, 300)],
        ),
    ],
)
def test_a_mask_holds_the_features_it_is_named_for(name, inside, outside) -> None:
    """Places of lips, nostrils, chin, eyes and brows on a face that lies on the template."""
    assert [at(ALL[name], *place) for place in inside] == [1.0] * len(inside)
    assert [at(ALL[name], *place) for place in outside] == [0.0] * len(outside)


def test_the_mouth_leaves_all_control_points_alone() -> None:
    assert [at(region_mask("mouth"), *point) for point in TEMPLATE] == [0.0] * 3


def test_the_rest_shares_nothing_with_what_is_generated() -> None:
    assert not np.minimum(rest_mask(), region_mask("lower_face")).any()
    assert not np.minimum(rest_mask(), region_mask("mouth")).any()


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"restore\.region: ears"):
        region_mask("ears")
