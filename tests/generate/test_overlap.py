"""Chunks that share frames: predictions are averaged at every step, and exactly so where equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.errors import ConfigError
from latentsync.generate.base import Overlapping
from latentsync.generate.diffusion import sampling
from latentsync.generate.diffusion.overlap import Averager, Edge, Recorder, averaged
from latentsync.types import Chunk
from tests.generate.conftest import Load, chunk, refusal

pytestmark = pytest.mark.usefixtures("loaded_once")

SHARED, FRAMES, SIDE = 3, 8, 4
CONDITIONS = torch.zeros(1, 9, FRAMES, SIDE, SIDE)
INITIAL = torch.randn(1, 4, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
BIT_NOISE = 1e-5


def test_the_ramp_rises_from_the_earlier_chunk_to_the_later() -> None:
    made = averaged(torch.zeros(1, 4, 3, 2, 2), torch.ones(1, 4, 3, 2, 2))
    torch.testing.assert_close(made[0, 0, :, 0, 0], torch.tensor([0.25, 0.5, 0.75]))


def test_the_average_of_equal_predictions_is_exactly_that_prediction() -> None:
    noise = torch.randn(1, 4, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(averaged(noise, noise.clone()), noise)


class Drifting:
    """A U-Net whose predictions differ from step to step, from frame to frame and by its seed."""

    def __init__(self, seed: int) -> None:
        self._random = torch.Generator().manual_seed(seed)

    def step(self, sample: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        shape = len(sample), 4, *sample.shape[2:]
        return torch.randn(shape, generator=self._random), sample


class Still:
    """A U-Net whose prediction depends on the step and the latents, not on the chunk."""

    def step(self, sample: Tensor, timestep: Any, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        return (sample[:, :4] * 0.3 + float(timestep) / 1000).sin(), sample


def denoised(unet: Any, scheduler: str, adjust: Any = sampling.unadjusted) -> Tensor:
    audio = torch.zeros(FRAMES, 50, 384)
    settings: Any = {"steps": 6, "guidance": 1.0, "scheduler": scheduler, "adjust": adjust}
    return sampling.denoise(unet, CONDITIONS, audio, INITIAL, **settings)


def edges(recorder: Recorder) -> list[Edge]:
    return [Edge(CONDITIONS[:, :, :SHARED], kept) for kept in recorder.predictions]


@pytest.mark.parametrize("scheduler", sampling.SCHEDULERS)
def test_a_shared_frame_s_latents_are_the_average_of_both_chunks(scheduler: str) -> None:
    recorder, other = Recorder(slice(FRAMES - SHARED, FRAMES)), Recorder(slice(SHARED))
    before = denoised(Drifting(0), scheduler, recorder)
    after = denoised(Drifting(1), scheduler, other)
    alone = denoised(Drifting(2), scheduler)
    (last,), (first,) = edges(recorder), edges(other)
    bridge = denoised(Drifting(2), scheduler, Averager(last, first))
    expected = alone.clone()
    expected[:, :, :SHARED] = averaged(before[:, :, -SHARED:], alone[:, :, :SHARED])
    expected[:, :, -SHARED:] = averaged(alone[:, :, -SHARED:], after[:, :, :SHARED])
    torch.testing.assert_close(bridge, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scheduler", sampling.SCHEDULERS)
def test_a_bridge_of_equal_predictions_is_exactly_the_chunk_alone(scheduler: str) -> None:
    recorder = Recorder(slice(FRAMES - SHARED, FRAMES), slice(SHARED))
    alone = denoised(Still(), scheduler, recorder)
    assert torch.equal(alone, denoised(Still(), scheduler))
    assert torch.equal(alone, denoised(Still(), scheduler, Averager(*edges(recorder))))


# The generator


def neighbours(overlap: int) -> list[Chunk]:
    """Three chunks of 8 frames of one video."""
    whole, starts = chunk(frames=3 * FRAMES), [i * (FRAMES - overlap) for i in range(3)]
    return [
        Chunk(
            number,
            whole.crops[start : start + FRAMES],
            whole.audio[start : start + FRAMES],
            np.arange(start, start + FRAMES),
        )
        for number, start in enumerate(starts)
    ]


@pytest.mark.parametrize("overlap", [1, 4])
def test_an_anchor_is_the_chunk_alone_without_its_shared_frames(load: Load, overlap: int) -> None:
    generator, given = load(overlap=overlap, vae_batch=1), neighbours(overlap)[1]
    alone = generator(given)
    assert isinstance(generator, Overlapping)
    for first, last in [(False, True), (True, True), (True, False)]:
        own = slice(overlap * first, FRAMES - overlap * last)
        assert torch.equal(generator.anchor(given, first=first, last=last).mouths, alone[own])


def test_a_padded_anchor_shares_no_padding(load: Load) -> None:
    given = neighbours(2)[2]
    filled = np.array([*range(FRAMES), 6, 5, 4])
    padded = Chunk(2, given.crops[filled], given.audio[filled], given.frames[filled])
    made = load(overlap=2).anchor(padded, first=True, last=False)
    assert len(made.mouths) == FRAMES - 2
    assert len(made.first) == 2


def test_a_bridge_lies_between_its_anchors(load: Load) -> None:
    generator, (before, given, after) = load(overlap=4, vae_batch=1), neighbours(4)
    first, last = (
        generator.anchor(before, first=False, last=True),
        generator.anchor(after, first=True, last=False),
    )
    made, alone = generator.bridge(given, first.last, last.first), generator(given)
    whole = generator(before), generator(after)
    assert made.shape == given.crops.shape
    for place, anchor in ((0, whole[0][4]), (FRAMES - 1, whole[1][3])):
        distance, without = ((one[place] - anchor).abs().mean() for one in (made, alone))
        assert distance < 0.5 * without
    end = generator.bridge(given, first.last, None)
    assert not torch.equal(end[FRAMES - 1], made[FRAMES - 1])


def test_where_the_network_does_not_look_around_an_overlap_changes_nothing(load: Load) -> None:
    generator, (before, given, after) = load(overlap=3, vae_batch=1), neighbours(3)
    generator._unet = Still()
    first, last = (
        generator.anchor(before, first=False, last=True),
        generator.anchor(after, first=True, last=False),
    )
    assert torch.equal(generator.bridge(given, first.last, last.first), generator(given))


class Counting:
    """The VAE, with the number of frames that pass it."""

    def __init__(self, vae: Any) -> None:
        self._vae, self.encoded, self.decoded = vae, 0, 0
        self.device, self.dtype, self.latent_scale = vae.device, vae.dtype, vae.latent_scale

    def encode(self, x: Tensor) -> Any:
        self.encoded += len(x)
        return self._vae.encode(x)

    def decode(self, z: Tensor) -> Any:
        self.decoded += len(z)
        return self._vae.decode(z)


def test_shared_frames_are_encoded_and_decoded_once(load: Load) -> None:
    generator, (before, given, after) = load(overlap=4, steps=1), neighbours(4)
    generator._vae = counting = Counting(generator._vae)
    first, last = (
        generator.anchor(before, first=False, last=True),
        generator.anchor(after, first=True, last=False),
    )
    generator.bridge(given, first.last, last.first)
    frames = FRAMES + 2 * (FRAMES - 4)
    assert (counting.encoded, counting.decoded) == (2 * frames, frames), "masked, and whole"


def test_more_than_half_of_a_chunk_cannot_overlap(load: Load) -> None:
    data = {"resolution": 64, "num_frames": 7}
    message = refusal(lambda: load(data=data, overlap=4), ConfigError)
    assert message == "generate.overlap: 4; use at most 3, half of data.num_frames"
    load(data=data, overlap=3)
