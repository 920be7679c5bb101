"""All that is random in a step of the U-Net, drawn clip by clip from the clips' own seeds.

So it does not depend on the batch that a clip is in, on the device, or on what was drawn before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latentsync.generate.coding import CHANNELS

TIMESTEPS = 1000
"""Of the noise schedule."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """For B clips of F frames whose latents have side r. Standard normal float32 but timesteps.

    faces, masked, reference: (B, F, 4, r, r), which sample the VAE's three posteriors.
    shared: (B, 4, 1, r, r), one noise for all frames of a clip. independent: (B, 4, F, r, r).
    timesteps: (B,) int64, 0 to 999.
    """

    faces: Tensor
    masked: Tensor
    reference: Tensor
    shared: Tensor
    independent: Tensor
    timesteps: Tensor

    def to(self, device: torch.device) -> Draws:
        return Draws(*(getattr(self, name).to(device) for name in self.__slots__))


def draw(seeds: Tensor, frames: int, side: int) -> Draws:
    """seeds: (B,) int64. side: r. -> on the CPU."""
    clips = [_of_clip(int(seed), frames, side) for seed in seeds.tolist()]
    return Draws(*(torch.stack(values) for values in zip(*clips, strict=True)))


def _of_clip(seed: int, frames: int, side: int) -> tuple[Tensor, ...]:
    """In the order of Draws' fields; each of a generator of its own."""
    of_frames = (frames, CHANNELS, side, side)
    shapes = (
        *(of_frames,) * 3,
        (CHANNELS, 1, side, side),
        (CHANNELS, frames, side, side),
    )
    normal = [torch.randn(s, generator=_generator(seed, n)) for n, s in enumerate(shapes)]
    generator = _generator(seed, len(shapes))
    return *normal, torch.randint(TIMESTEPS, (), generator=generator)


def _generator(seed: int, purpose: int) -> torch.Generator:
    key = (seed % 2**64, purpose)
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))
