"""Guidance in a part of the trajectory: steps outside of it pass the network once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from latentsync.generate.diffusion.guidance import guided_steps
from latentsync.generate.diffusion.sampling import denoise

FRAMES, SIDE = 2, 4
INITIAL = torch.randn(1, 4, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
AUDIO = torch.randn(FRAMES, 50, 8, generator=torch.Generator().manual_seed(1))


class Counting:
    """A U-Net whose prediction depends on latents and audio; with the size of each batch.

    A cached step uses features of as many passes as it has itself.
    """

    def __init__(self) -> None:
        self.batches: list[int] = []

    def step(
        self, sample: Tensor, _timestep: Any, audio: Tensor, *, cached: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        self.batches.append(len(sample))
        speech = audio.reshape(len(sample), FRAMES, -1).mean(2)[:, None, :, None, None]
        deep = (sample[:, :4] + speech).sin() if cached is None else cached
        assert len(deep) == len(sample)
        return (sample[:, :4] * 0.3 + deep + 5 * speech).sin(), deep


def denoised(unet: Counting, **options: Any) -> Tensor:
    return denoise(unet, torch.zeros(1, 9, FRAMES, SIDE, SIDE), AUDIO, INITIAL, **options)


@pytest.mark.parametrize(
    ("cache_interval", "guided"),
    [(1, range(4, 16)), (3, range(3, 15)), (20, range(20))],
    ids=["each step by itself", "shared by three", "shared by all"],
)
def test_steps_outside_of_the_interval_pass_the_network_once(
    cache_interval: int, guided: range
) -> None:
    unet = Counting()
    denoised(unet, steps=20, guidance_interval=[0.2, 0.8], cache_interval=cache_interval)
    assert unet.batches == [2 if number in guided else 1 for number in range(20)]


@pytest.mark.parametrize("cache_interval", [1, 3])
def test_guidance_in_the_whole_interval_is_guidance_at_every_step(cache_interval: int) -> None:
    options = {"steps": 8, "cache_interval": cache_interval}
    unet = Counting()
    everywhere = denoised(unet, **options)
    assert unet.batches == [2] * 8
    assert torch.equal(denoised(Counting(), **options, guidance_interval=[0, 1]), everywhere)
    inside = denoised(Counting(), **options, guidance_interval=[0.2, 0.8])
    assert (inside - everywhere).abs().max() > 1e-3


def test_outside_of_the_interval_a_step_is_as_without_guidance() -> None:
    nowhere = denoised(Counting(), steps=4, guidance_interval=[0, 0.1])
    assert torch.equal(nowhere, denoised(Counting(), steps=4, guidance=1.0))


def test_without_guidance_no_interval_brings_it_back() -> None:
    assert not any(guided_steps(20, 1.0, [0.2, 0.8], 0))
    assert guided_steps(3, 1.5, [0, 1], 0) == [True] * 3
