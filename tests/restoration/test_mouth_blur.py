"""What the widths of edges say of a mouth: whether it is degraded, by how much, what is left."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.restoration.mouth_blur import (
    EdgeVariances,
    TrackBlur,
    energy_left,
    natural_excess,
    natural_log_left,
    softness,
)

SCALE = 0.6  # frame pixels per pixel of the aligned crop
MATRICES = np.repeat([[[1 / SCALE, 0, 0], [0, 1 / SCALE, 0]]], 5, axis=0)
EYES = 0.3  # sigma, frame pixels


def seen(lips: float, eyes: float = EYES) -> EdgeVariances:
    """lips, eyes: sigmas, frame pixels."""
    return EdgeVariances((lips / SCALE) ** 2, (eyes / SCALE) ** 2)


def natural() -> float:
    """Sigma of untouched lips, frame pixels."""
    return float(np.hypot(EYES, np.sqrt(natural_excess()) * SCALE))


def test_an_untouched_mouth_has_all_its_energy() -> None:
    blur = TrackBlur.of(seen(natural()), MATRICES, None)
    assert blur.lost == pytest.approx(0, abs=1e-3) and blur.left == 1.0


@pytest.mark.parametrize("lost", [1.2, 1.5, 2.0])
def test_the_blur_that_was_added_is_found(lost: float) -> None:
    blur = TrackBlur.of(seen(np.hypot(natural(), lost)), MATRICES, None)
    assert blur.lost == pytest.approx(lost, abs=1e-3)
    assert blur.expected == pytest.approx(natural(), abs=1e-3)
    assert 0.1 < blur.left < 0.6


def test_the_more_is_lost_the_less_is_left() -> None:
    lost = np.linspace(0.5, 6, 12) ** 2
    for own in (False, True):
        left = energy_left(lost, np.full(12, 0.5), own=own)
        assert (np.diff(left) <= 0).all() and (left > 0).all() and (left <= 1).all()


def test_sharp_lips_lose_more_than_soft_ones() -> None:
    sharp, soft = (float(natural_log_left(np.array(1.4), np.array(e))) for e in (0.1, 2.0))
    assert sharp < soft < 0


def test_the_own_mouth_says_what_is_expected() -> None:
    soft_by_nature = 1.5
    alone = TrackBlur.of(seen(soft_by_nature), MATRICES, None)
    beside_own = TrackBlur.of(seen(soft_by_nature), MATRICES, seen(soft_by_nature))
    assert alone.left < 0.7 and not alone.own
    assert beside_own.left == 1.0 and beside_own.lost == 0.0 and beside_own.own


@pytest.mark.parametrize("matrices", [MATRICES[:0], MATRICES])
def test_nothing_is_known_where_nothing_was_measured(matrices: np.ndarray) -> None:
    lips = np.nan if len(matrices) else 1.0
    assert np.isnan(TrackBlur.of(EdgeVariances(lips, 1.0), matrices, None).left)


def test_softness_compares_widths() -> None:
    assert softness(1.0, 1.0) == 0
    assert softness(2.0, 1.0) > softness(1.5, 1.0) > 0 > softness(0.5, 1.0)


def test_an_own_mouth_that_could_not_be_measured_leaves_it_to_the_face() -> None:
    unknown = EdgeVariances(np.nan, np.nan)
    assert TrackBlur.of(seen(1.8), MATRICES, unknown) == TrackBlur.of(seen(1.8), MATRICES, None)


def test_lower_thresholds_of_the_gate_make_restorers_bolder() -> None:
    slightly = seen(np.hypot(natural(), 0.55))
    cautious = TrackBlur.of(slightly, MATRICES, None, doubt=(0.3, 0.7))
    bold = TrackBlur.of(slightly, MATRICES, None, doubt=(0.05, 0.1))
    assert bold.left < cautious.left
