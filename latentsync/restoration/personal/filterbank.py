"""A bank of small linear filters, one for each kind of structure, fitted to pairs of images.

The idea is RAISR's (Romano, Isidoro, Milanfar 2016): pixels are classified by the angle, strength
and coherence of their gradients, and each class (bucket) has a linear filter. Here the buckets
overlap, so that a slowly moving edge does not flicker between two filters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

SIDE = 9  # pixels, of a filter
TAPS = SIDE * SIDE
ANGLES, STRENGTHS, COHERENCES = 8, 3, 2
BUCKETS = ANGLES * STRENGTHS * COHERENCES

_REACH = SIDE // 2
_TENSOR_SIGMA = 1.5  # pixels, of the window of the structure tensor
_HIGH_PASS = 4.0  # sigma, pixels: lower frequencies, with the brightness, are not changed
_STRENGTH_QUANTILES = (0.15, 0.5, 0.85)  # of gradient strengths in the example, bucket centres
_COHERENCE_ENDS = (0.25, 0.75)
_RIDGE = 0.5  # code values squared: about the rounding of the pixels
_BOUND_STEP, _BOUND_STEPS = 0.5, 64  # code values; of the histogram for the bounds
_BOUND_SHARE = 0.995
_ROWS, _AT_ONCE = 256, 64  # pixels in a block, blocks: 5 MB of windows at once


@dataclass(frozen=True, slots=True, eq=False)
class FilterBank:
    """filters: (BUCKETS, 1, SIDE, SIDE) float32. bounds: (BUCKETS,) float32, code values.

    centres: (STRENGTHS,) float32, log gradient strengths of the bucket centres. grain: sigma,
    pixels; finer detail is not added.
    """

    filters: torch.Tensor
    bounds: torch.Tensor
    centres: torch.Tensor
    grain: float = 0.0

    @torch.no_grad()
    def residual(self, lumas: torch.Tensor) -> torch.Tensor:
        """lumas: (N, h, w) float32 code values 0..255 -> (N, h, w), the residual to add.

        h, w: more than 12 each. One image at a time, so that memory does not grow with N.
        """
        if not len(lumas):
            return lumas.clone()
        return torch.cat([self._one(image) for image in lumas.float().split(1)])

    def _one(self, luma: torch.Tensor) -> torch.Tensor:
        """(1, h, w) -> (1, h, w)."""
        filters, bounds = self.filters.to(luma.device), self.bounds.to(luma.device)
        padded = functional.pad(high_pass(luma)[:, None], (_REACH,) * 4, mode="reflect")
        answers = functional.conv2d(padded, filters)
        shares = memberships(luma, self.centres)
        bound = torch.einsum("nbhw,b->nhw", shares, bounds)
        added = torch.einsum("nbhw,nbhw->nhw", answers, shares).clamp(-bound, bound)
        return _gaussian(added, self.grain) if self.grain > 0 else added


class Accumulator:
    """Accumulates the normal equations; their size does not depend on the number of pairs."""

    def __init__(self, example: torch.Tensor, mask: np.ndarray, *, seed: int = 0) -> None:
        """example: (N, h, w) float32 code values, typical images, which set the centres of gradient
        strength. mask: (h, w) in [0, 1], the pixels to fit to."""
        self._inside = torch.from_numpy(mask > 0.5)
        self._random = torch.Generator().manual_seed(seed)
        self.centres = _strength_centres(example, self._inside)
        self.squares = torch.zeros(BUCKETS, TAPS, TAPS, dtype=torch.float64)
        self.products = torch.zeros(BUCKETS, TAPS, dtype=torch.float64)
        self.counts = torch.zeros(BUCKETS, dtype=torch.float64)
        self.spread = torch.zeros(BUCKETS, _BOUND_STEPS, dtype=torch.float64)

    @torch.no_grad()
    def add(self, degraded: torch.Tensor, originals: torch.Tensor) -> None:
        """degraded, originals: (N, h, w) float32 code values; originals are the targets."""
        core = (slice(None), slice(_REACH, -_REACH), slice(_REACH, -_REACH))
        inside = self._inside[core[1:]]
        windows = high_pass(degraded).unfold(1, SIDE, 1).unfold(2, SIDE, 1)
        values = (originals - degraded)[core][:, inside].flatten()
        kinds = self._sampled_buckets(degraded)[core][:, inside].flatten()
        down, across = inside.nonzero(as_tuple=True)
        for which, there, buckets in _blocks(kinds):
            image, place = which.div(len(down), rounding_mode="floor"), which % len(down)
            x = windows[image, down[place], across[place]].reshape(*which.shape, TAPS)
            x, y = x * there[..., None], (values[which] * there)[..., None]
            self.squares.index_add_(0, buckets, (x.mT @ x).double())
            self.products.index_add_(0, buckets, (x.mT @ y)[..., 0].double())
        steps = (values.abs() / _BOUND_STEP).long().clamp_max(_BOUND_STEPS - 1)
        seen = torch.bincount(kinds * _BOUND_STEPS + steps, minlength=BUCKETS * _BOUND_STEPS)
        self.spread += seen.reshape(BUCKETS, _BOUND_STEPS)
        self.counts += torch.bincount(kinds, minlength=BUCKETS)

    def solved(self) -> FilterBank:
        """Ridge regression; the filter of a bucket with few pixels is close to the common one."""
        squares, products, counts, spread = _in_all_positions(
            self.squares, self.products, self.counts, self.spread
        )
        eye = torch.eye(TAPS, dtype=torch.float64)
        all_squares = squares.sum(0) + _RIDGE * counts.sum().clamp_min(1) * eye
        common = torch.linalg.solve(all_squares, products.sum(0))
        system = squares + _RIDGE * counts.clamp_min(1)[:, None, None] * eye
        special = torch.linalg.solve(system, products - squares @ common)
        filters = (common + special).float().reshape(BUCKETS, 1, SIDE, SIDE)
        return FilterBank(filters, _bounds(spread), self.centres)

    def _sampled_buckets(self, lumas: torch.Tensor) -> torch.Tensor:
        """(N, h, w) int: a bucket for each pixel, sampled by its memberships.

        So each pixel is added to one bucket, and the sums are right on average.
        """
        angle, strength, coherence = (
            (place + torch.rand(place.shape, generator=self._random)).floor().long()
            for place in _places(lumas, self.centres)
        )
        return (angle % ANGLES * STRENGTHS + strength) * COHERENCES + coherence


def _blocks(kinds: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """kinds: (M,) int, bucket of each pixel -> the pixels by bucket, in blocks of _ROWS pixels.

    For B blocks: (B, _ROWS) int, pixel indices; (B, _ROWS) float32, 0 for the padding of a bucket's
    last block, else 1; (B,) int, the bucket of each. Equal sizes allow one batched product: with
    many small ones PyTorch's threads wait ten times longer than they work on a busy machine.
    """
    order, sizes = kinds.argsort(stable=True), torch.bincount(kinds, minlength=BUCKETS)
    first, counts = sizes.cumsum(0) - sizes, (sizes + _ROWS - 1) // _ROWS
    buckets = torch.arange(BUCKETS).repeat_interleave(counts)
    number = torch.arange(len(buckets)) - (counts.cumsum(0) - counts)[buckets]
    row = number[:, None] * _ROWS + torch.arange(_ROWS)
    there = row < sizes[buckets][:, None]
    which = order[torch.where(there, first[buckets][:, None] + row, 0)]
    yield from zip(
        which.split(_AT_ONCE), there.float().split(_AT_ONCE), buckets.split(_AT_ONCE), strict=True
    )


def high_pass(lumas: torch.Tensor) -> torch.Tensor:
    """(N, h, w) -> the same without frequencies too low for the filters."""
    return lumas - _gaussian(lumas, _HIGH_PASS)


def memberships(lumas: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """(N, BUCKETS, h, w) in [0, 1], sum 1: membership of each pixel in each bucket.

    lumas: (N, h, w) float32 code values. centres: of a FilterBank.
    """
    turn, strength, coherence = _places(lumas, centres)
    steps = torch.arange(ANGLES, device=lumas.device)[:, None, None]
    away = (turn[:, None] - steps + ANGLES / 2).remainder(ANGLES) - ANGLES / 2
    by_angle = (1 - away.abs()).clamp_min(0)
    by_strength, by_coherence = _hats(strength, STRENGTHS), _hats(coherence, COHERENCES)
    rest = (by_strength[:, :, None] * by_coherence[:, None]).flatten(1, 2)
    return (by_angle[:, :, None] * rest[:, None]).flatten(1, 2)


def _hats(place: torch.Tensor, count: int) -> torch.Tensor:
    """(N, h, w) in [0, count - 1] -> (N, count, h, w): linear between whole numbers."""
    steps = torch.arange(count, device=place.device)[:, None, None]
    return (1 - (place[:, None] - steps).abs()).clamp_min(0)


def _places(
    lumas: torch.Tensor, centres: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each (N, h, w): angle in [0, ANGLES), strength and coherence in [0, count - 1]."""
    angle, strength, coherence = _gradients(lumas)
    place = torch.zeros_like(strength)
    for low, high in zip(centres[:-1].tolist(), centres[1:].tolist(), strict=True):
        place += ((strength - low) / max(high - low, 1e-6)).clamp(0, 1)
    low, high = _COHERENCE_ENDS
    return angle / math.pi * ANGLES, place, ((coherence - low) / (high - low)).clamp(0, 1)


def _strength_centres(lumas: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(STRENGTHS,) float32: quantiles of the log gradient strengths of these images."""
    strengths = _gradients(lumas)[1][:, inside].flatten()
    return torch.from_numpy(np.quantile(strengths.numpy(), _STRENGTH_QUANTILES)).float()


def _gradients(lumas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each (N, h, w), of the structure tensor: angle [0, pi), log strength, coherence [0, 1]."""
    padded = functional.pad(lumas[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    products = torch.cat([across**2, down**2, across * down])
    xx, yy, xy = _gaussian(products, _TENSOR_SIGMA).chunk(3)
    root = ((xx - yy) ** 2 + 4 * xy**2).sqrt()
    strong, weak = ((xx + yy + root) / 2).sqrt(), ((xx + yy - root) / 2).clamp_min(0).sqrt()
    angle = (torch.atan2(2 * xy, xx - yy) / 2).remainder(math.pi)
    coherence = (strong - weak) / (strong + weak + 0.5)  # half a code value: noise has no direction
    return angle, (xx + yy + 0.05).log() / 2, coherence


def _gaussian(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """(N, h, w) -> the same, blurred, mirrored at the borders."""
    radius = math.ceil(3 * sigma)
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32, device=images.device)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1, 1)
    padded = functional.pad(images[:, None], (radius,) * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel), kernel.mT)[:, 0]


def _bounds(spread: torch.Tensor) -> torch.Tensor:
    """(BUCKETS,) code values: upper quantile of what the pixels of each bucket had lost."""
    total = spread.sum(1)
    share = spread.cumsum(1) / total.clamp_min(1)[:, None]
    steps = (share < _BOUND_SHARE).sum(1).clamp_max(_BOUND_STEPS - 1) + 1
    return torch.where(total > 0, steps * _BOUND_STEP, 0.0).float()


def _in_all_positions(
    squares: torch.Tensor, products: torch.Tensor, counts: torch.Tensor, spread: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The sums augmented by all mirrored pairs and rotations by right angles.

    Filter taps and bucket angles are permuted together, so the images are not summed again.
    """
    grid = torch.arange(TAPS).reshape(SIDE, SIDE)
    kinds = torch.arange(BUCKETS).reshape(ANGLES, -1)
    steps = torch.arange(ANGLES)
    sums = [torch.zeros_like(each) for each in (squares, products, counts, spread)]
    for turns in range(4):
        for sign in (1, -1):
            turned = torch.rot90(grid, turns)
            taps = (turned if sign == 1 else turned.flip(1)).flatten()
            target = kinds[sign * (steps + turns * ANGLES // 2) % ANGLES].flatten()
            sums[0][target] += squares[:, taps][:, :, taps]
            sums[1][target] += products[:, taps]
            sums[2][target] += counts
            sums[3][target] += spread
    return sums[0], sums[1], sums[2], sums[3]
