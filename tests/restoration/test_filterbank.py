"""The filter bank inverts a degradation, within the bounds of its pairs and in bounded memory."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
import torch

from latentsync.restoration.personal.filterbank import (
    ANGLES,
    BUCKETS,
    Accumulator,
    FilterBank,
    memberships,
)
from tests.restoration.test_detail import SIZE, scene

MASK = np.ones(SIZE, np.float32)


def images(first: int, count: int) -> torch.Tensor:
    """(count, h, w) float32 code values."""
    seeds = range(first, first + count)
    return torch.from_numpy(np.stack([scene(s)[: SIZE[0]] for s in seeds]).astype(np.float32))


def blurred(lumas: torch.Tensor, sigma: float) -> torch.Tensor:
    return torch.stack(
        [torch.from_numpy(cv2.GaussianBlur(p, (0, 0), sigma)).round() for p in lumas.numpy()]
    )


def fitted(degraded: torch.Tensor, originals: torch.Tensor) -> FilterBank:
    sums = Accumulator(degraded, MASK)
    for one, truth in zip(degraded.split(2), originals.split(2), strict=True):
        sums.add(one, truth)
    return sums.solved()


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b)[:, 8:-8, 8:-8] ** 2).mean())


@pytest.mark.parametrize("sigma", [1.2, 2.0])
def test_a_blur_is_inverted_on_unseen_images(sigma: float) -> None:
    originals, new = images(0, 6), images(30, 2)
    bank = fitted(blurred(originals, sigma), originals)
    degraded = blurred(new, sigma)
    assert error(degraded, new) > 2 * error(degraded + bank.residual(degraded), new)  # 3 dB


def test_pairs_without_a_degradation_give_a_zero_residual() -> None:
    originals = images(0, 4)
    assert fitted(originals, originals).residual(images(30, 1)).abs().max() == 0


def test_pure_noise_is_not_turned_into_detail() -> None:
    originals = images(0, 6)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 3, originals.shape)).float()
    bank = fitted(originals + noise, originals)
    flat = torch.full((1, *SIZE), 128.0) + noise[:1]
    assert (flat + bank.residual(flat)).std() < flat.std()


def test_what_is_added_never_exceeds_what_the_pairs_had_lost() -> None:
    originals = images(0, 4)
    degraded = blurred(originals, 2.0)
    bank = fitted(degraded, originals)
    steps = torch.zeros(1, *SIZE)
    steps[..., ::9] = 255.0
    assert bank.residual(steps).abs().max() <= bank.bounds.max()
    assert bank.bounds.max() <= (originals - degraded).abs().max() + 0.5  # a step of the histogram


def test_fitting_and_applying_are_repeatable_bit_for_bit() -> None:
    originals, new = images(0, 4), images(30, 1)
    first, second = (fitted(blurred(originals, 1.5), originals).residual(new) for _ in range(2))
    assert torch.equal(first, second)


def test_a_bank_survives_pickling() -> None:
    originals, new = images(0, 2), images(30, 1)
    bank = fitted(blurred(originals, 1.5), originals)
    again = pickle.loads(pickle.dumps(bank))
    assert torch.equal(again.residual(new), bank.residual(new))


def test_the_sums_are_as_large_for_many_pairs_as_for_one() -> None:
    originals = images(0, 4)
    degraded = blurred(originals, 1.5)
    sums = Accumulator(degraded, MASK)
    sizes = []
    for _ in range(3):
        sums.add(degraded, originals)
        sizes.append(len(pickle.dumps(sums)))
    assert sizes[0] == sizes[-1]


def test_every_pixel_belongs_to_its_kinds_in_shares_of_one() -> None:
    shares = memberships(images(0, 1), torch.tensor([0.0, 1.0, 2.0]))
    assert shares.shape == (1, BUCKETS, *SIZE) and shares.min() >= 0
    assert torch.allclose(shares.sum(1), torch.ones(1, *SIZE), atol=1e-5)


@pytest.mark.parametrize(("turns", "flip"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_turned_image_gets_the_turned_residual(turns: int, flip: bool) -> None:
    originals, new = images(0, 4), images(30, 1)[..., : SIZE[0]]
    bank = fitted(blurred(originals, 1.5), originals)

    def turned(image: torch.Tensor) -> torch.Tensor:
        image = torch.rot90(image, turns, (1, 2))
        return image.flip(2) if flip else image

    straight, round_about = turned(bank.residual(new)), bank.residual(turned(new))
    # Not bit for bit: sums run in another order, and the clamp has its corners.
    assert (straight - round_about).abs().mean() < 1e-2 * straight.abs().mean()


def test_an_edge_falls_into_the_kinds_of_its_angle() -> None:
    rows = torch.arange(64.0)
    across = (1000 * ((rows - 32) / 4).sigmoid()).expand(1, 64, 64)
    for image, angle in ((across, 0), (across.mT, ANGLES // 2)):
        shares = memberships(image, torch.tensor([0.0, 1.0, 2.0]))[0, :, 32, 32]
        assert shares.reshape(ANGLES, -1).sum(1).argmax() == angle
