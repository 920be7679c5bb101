"""What is left to chance in a chunk, and what stays of the face: no network is needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.generate.diffusion import noise as noise_module
from latentsync.generate.diffusion.noise import (
    Noise,
    UpstreamNoise,
    per_chunk_noise,
    upstream_noise,
)
from latentsync.generate.diffusion.sampling import composite

CPU = torch.device("cpu")
COUNTS = (16, 3, 16, 16, 1, 16, 2, 16, 16, 5, 16, 16)


def assert_same(one: Noise, other: Noise) -> None:
    for name in ("initial", "masked", "reference"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def in_order(seed: int, counts: tuple[int, ...], side: int) -> list[Noise]:
    """As upstream samples it, from the global random generator."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        initial = torch.randn(1, 4, 1, side, side)
        both = [[torch.randn(n, 4, side, side) for _ in range(2)] for n in counts]
    return [Noise(initial, masked, reference) for masked, reference in both]


def test_upstream_s_noise_is_that_of_the_global_generator() -> None:
    torch.manual_seed(0)
    sampled = list(upstream_noise(1247, COUNTS, 8, device=CPU))
    assert torch.initial_seed() == 0, "the global generator is not ours to seed"
    for one, expected in zip(sampled, in_order(1247, COUNTS, 8), strict=True):
        assert_same(one, expected)


@pytest.mark.parametrize("every", [1, 4, 64])
def test_any_chunk_of_upstream_s_noise_can_be_sampled_at_any_time_and_twice(
    every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise_module, "STATE_EVERY", every)
    noise, expected = UpstreamNoise(3, COUNTS, 8, device=CPU), in_order(3, COUNTS, 8)
    for index in [7, 7, 0, 11, 10, *np.random.default_rng(0).integers(0, len(COUNTS), 40)]:
        assert_same(noise(int(index)), expected[index])


def test_two_threads_that_sample_upstream_s_noise_do_not_disturb_each_other() -> None:
    noise, expected = UpstreamNoise(3, COUNTS, 8, device=CPU), in_order(3, COUNTS, 8)
    asked = [int(n) for n in np.random.default_rng(1).integers(0, len(COUNTS), 400)]
    with ThreadPoolExecutor(4) as pool:
        for index, sampled in zip(asked, pool.map(noise, asked), strict=True):
            assert_same(sampled, expected[index])


def test_a_failed_sample_does_not_shift_the_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise, expected = UpstreamNoise(3, COUNTS, 8, device=CPU), in_order(3, COUNTS, 8)
    draw, calls = noise._draw, []

    def fails_once(*shape: int) -> Tensor:
        calls.append(shape)
        if len(calls) == 4:  # the second half of the second chunk
            raise torch.OutOfMemoryError
        return draw(*shape)

    monkeypatch.setattr(noise, "_draw", fails_once)
    noise(0)
    with pytest.raises(torch.OutOfMemoryError):
        noise(1)
    for index in (1, 2):
        assert_same(noise(index), expected[index])


@pytest.mark.parametrize("index", [-1, len(COUNTS)])
def test_a_chunk_that_the_video_does_not_have_has_no_noise(index: int) -> None:
    noise = UpstreamNoise(3, COUNTS, 8, device=CPU)
    assert noise.frames(index) == 0
    with pytest.raises(IndexError, match=f"chunk {index} of 12"):
        noise(index)


def test_a_chunk_s_own_noise_depends_on_seed_and_number_alone() -> None:
    def parts(seed: int, index: int) -> tuple[Tensor, Tensor, Tensor]:
        noise = per_chunk_noise(seed, index, 16, 8, device=CPU)
        return noise.initial, noise.masked, noise.reference

    first, again, next_one, other = parts(5, 0), parts(5, 0), parts(5, 1), parts(6, 0)
    assert all(map(torch.equal, first, again))
    assert torch.equal(first[0], next_one[0]), "one initial image for the whole video"
    sampled = [first[0], other[0]] + [
        part for chunk in (first, next_one, other) for part in chunk[1:]
    ]
    numbers = torch.stack([part.flatten()[:256] for part in sampled])
    alike = torch.corrcoef(numbers) - torch.eye(len(sampled))
    assert alike.abs().max() < 0.3, "five deviations of what chance gives"


def test_faces_stay_where_they_are_kept_and_only_there() -> None:
    decoded, faces = torch.full((2, 3, 2, 2), 0.5), torch.full((2, 3, 2, 2), -1.0)
    keep = torch.tensor([[1.0, 0.0], [0.5, 0.0]])
    expected = torch.tensor([[-1.0, 0.5], [-0.25, 0.5]]).expand(2, 3, 2, 2)
    assert torch.equal(composite(decoded, faces, keep), expected)
