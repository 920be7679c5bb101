"""The LatentSync generator, from weights files to the mouths of a chunk, on a tiny network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from latentsync.errors import CheckpointError, ConfigError
from latentsync.generate.base import LipGenerator, Preparing
from latentsync.generate.diffusion import sampling
from latentsync.generate.diffusion.noise import per_chunk_noise
from latentsync.generate.table import load_generator
from latentsync.generate.vae import load_vae
from latentsync.models.unet import UNet3DConditionModel
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.schema import Config
from latentsync.types import Chunk
from latentsync.weights.load import read_state_dict
from tests.generate.conftest import FRAMES, Load, chunk, refusal, request
from tests.parity.filled import filled
from tests.support.tiny_latentsync import MODEL, RESOLUTION

pytestmark = pytest.mark.usefixtures("loaded_once")

BIT_NOISE = 1e-5
CPU = torch.device("cpu")

# A chunk


def test_a_chunk_is_what_the_functions_of_sampling_make_of_it(
    load: Load, mask: np.ndarray, sections: dict[str, dict[str, Any]]
) -> None:
    given = chunk(index=2)
    made = load(seed=5)(given)
    unet = filled(UNet3DConditionModel(**MODEL))
    vae_file = Path(sections["generate"]["vae"]) / "diffusion_pytorch_model.safetensors"
    vae = load_vae(vae_file, REFERENCE)
    keep = torch.from_numpy(1 - mask)
    noise = per_chunk_noise(5, 2, FRAMES, RESOLUTION // 8, device=CPU)
    conditions = sampling.prepare(vae, given.crops, keep, noise)
    latents = sampling.denoise(
        unet, conditions, given.audio, noise.initial, steps=2, guidance=1.5, cache_interval=1
    )
    expected = sampling.composite(sampling.decode(vae, latents), given.crops, keep)
    torch.testing.assert_close(made, expected, rtol=0, atol=BIT_NOISE)


def test_only_what_the_mask_marks_is_new(plain: LipGenerator, mask: np.ndarray) -> None:
    given, generator = chunk(), plain
    made = generator(given)
    assert isinstance(generator, LipGenerator)
    assert (generator.name, generator.size, generator.chunk_frames) == ("latentsync", 64, 16)
    assert made.shape == given.crops.shape
    assert (made.dtype, made.device.type) == (torch.float32, "cpu")
    kept, new = torch.from_numpy(mask == 0), torch.from_numpy(mask == 1)
    assert torch.equal(made[..., kept], given.crops[..., kept])
    assert (made - given.crops)[..., new].abs().mean() > 0.1


def test_the_mouth_depends_on_the_audio(plain: LipGenerator, plain_chunk: Tensor) -> None:
    other = Chunk(0, chunk().crops, chunk().audio.flip(0))
    assert (plain(other) - plain_chunk).abs().max() > 0.01


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"steps": 3},
        {"guidance": 3.0},
        {"guidance_interval": [0.4, 1.0]},
        {"scheduler": "euler"},
        {"step_cache": 2},
        {"compat": "upstream", "lengths": [FRAMES]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_every_setting_reaches_the_sampler(
    load: Load, plain_chunk: Tensor, settings: dict[str, Any]
) -> None:
    assert (load(**settings)(chunk()) - plain_chunk).abs().max() > 1e-3


def test_a_step_cache_of_1_is_off_like_0(load: Load, plain_chunk: Tensor) -> None:
    assert torch.equal(load(step_cache=1)(chunk()), plain_chunk)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_close_to_full(
    load: Load, plain_chunk: Tensor, dtype: torch.dtype
) -> None:
    made = load(dtype=dtype)(chunk())
    assert made.dtype == torch.float32
    assert 0 < (made - plain_chunk).abs().mean() < 0.05, "8 bits of precision at the least"


class PerfectDenoiser:
    """A U-Net that knows the one image there is, and so what of its input is noise."""

    image = 0.7

    def __init__(self) -> None:
        self.levels = DDIMScheduler(**sampling.SCHEDULE).alphas_cumprod
        self.steps: list[float] = []

    def step(self, sample: Tensor, timestep: float, *_: Tensor, **__: object) -> Any:
        self.steps.append(timestep)
        level = self.levels[round(timestep)]
        return (sample[:, :4] - level**0.5 * self.image) / (1 - level) ** 0.5, sample


@pytest.mark.parametrize("scheduler", sampling.SCHEDULERS)
@pytest.mark.parametrize("steps", [2, 8, 20])
def test_every_scheduler_converges_to_the_image(scheduler: str, steps: int) -> None:
    initial = torch.randn(1, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    denoiser, conditions = PerfectDenoiser(), torch.zeros(1, 9, 2, 8, 8)
    latents = sampling.denoise(
        denoiser,
        conditions,
        torch.zeros(2, 50, 384),
        initial,
        steps=steps,
        guidance=1.0,
        scheduler=scheduler,
    )
    assert len(denoiser.steps) == steps
    left_over = 0.05 * initial.abs().max() if scheduler == "ddim" else 1e-3
    assert (latents - denoiser.image).abs().max() <= left_over, "DDIM stops short of the image"


# Noise


def test_chunks_may_come_in_any_order_and_alone(load: Load, plain_chunk: Tensor) -> None:
    generator = load()
    second, first = generator(chunk(1)), generator(chunk(0))
    assert torch.equal(first, plain_chunk)
    assert torch.equal(second, generator(chunk(1)))
    same_crops = Chunk(1, chunk(0).crops, chunk(0).audio)
    assert not torch.equal(generator(same_crops), first), "each has different noise"


def test_a_seed_of_minus_1_is_chosen_at_random_once(load: Load) -> None:
    generator, other = load(seed=-1), load(seed=-1)
    assert generator.seed != other.seed
    assert generator.seed >= 0
    assert torch.equal(load(seed=generator.seed)(chunk()), generator(chunk()))


def test_upstream_s_noise_depends_on_the_chunks_before(load: Load) -> None:
    after_short, after_long = (
        load(compat="upstream", lengths=[frames, FRAMES]) for frames in (1, 2)
    )
    assert not torch.equal(after_short(chunk(1)), after_long(chunk(1)))


def test_chunks_with_upstream_s_noise_may_come_in_any_order_and_twice(load: Load) -> None:
    generator = load(compat="upstream")
    in_order, at_random = (generator.prepare(request([FRAMES] * 3)) for _ in range(2))
    expected = [in_order(chunk(index)) for index in range(3)]
    for index in (2, 0, 0, 1, 2):
        assert torch.equal(at_random(chunk(index)), expected[index])


@pytest.mark.parametrize("wrong", [chunk(2), chunk(0, frames=2)], ids=["number", "length"])
def test_a_chunk_that_upstream_s_noise_was_not_prepared_for_is_refused(
    load: Load, wrong: Chunk
) -> None:
    generator = load(compat="upstream", lengths=[FRAMES, FRAMES])
    message = refusal(lambda: generator(wrong), ConfigError)
    assert f"chunk {wrong.index} of {len(wrong.crops)} frames, where " in message
    assert "were planned; plan the video again" in message


def test_upstream_s_noise_without_prepare_raises(load: Load) -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        load(compat="upstream")(chunk(0))


# One video among many


def test_a_prepared_generator_shares_networks_and_seed(load: Load) -> None:
    generator = load(seed=-1)
    prepared = generator.prepare(request([FRAMES]))
    assert isinstance(generator, Preparing) and prepared is not generator
    assert (prepared.seed, prepared._unet) == (generator.seed, generator._unet)
    assert torch.equal(prepared(chunk()), generator(chunk()))


class Stopped(Exception):
    """What a caller raises in a check."""


def test_a_check_is_called_before_every_step_and_every_batch_of_the_vae(load: Load) -> None:
    calls: list[None] = []
    generator = load(steps=4, vae_batch=2)
    prepared = generator.prepare(request([FRAMES], lambda: calls.append(None)))
    prepared(chunk())
    assert len(calls) == 4 + 3 * 2, "FRAMES in batches of 2: masked, reference, decoded"
    prepared.reconstruct(chunk().crops)
    assert len(calls) == 10 + 2 * 2
    generator(chunk())
    assert len(calls) == 14, "another one is nobody's to stop"


@pytest.mark.parametrize("after", [0, 3, 6, 9], ids=["coding", "first step", "later", "decoding"])
def test_what_a_check_raises_ends_the_chunk(load: Load, plain_chunk: Tensor, after: int) -> None:
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) == after + 1:
            raise Stopped

    prepared = load(steps=2, vae_batch=1).prepare(request([FRAMES], check))
    with pytest.raises(Stopped):
        prepared(chunk())
    assert len(calls) == after + 1
    torch.testing.assert_close(prepared(chunk()), plain_chunk, rtol=0, atol=BIT_NOISE)


# Failure


@pytest.fixture
def broken(sections: dict[str, dict[str, Any]], tmp_path: Path) -> str:
    state = read_state_dict(Path(sections["generate"]["checkpoint"]))
    state["conv_out.bias"] = torch.full_like(state["conv_out.bias"], float("nan"))
    torch.save({"state_dict": state}, tmp_path / "nan.pt")
    return str(tmp_path / "nan.pt")


def test_a_mouth_that_is_not_a_number_raises(load: Load, broken: str) -> None:
    message = refusal(lambda: load(checkpoint=broken)(chunk(7)), CheckpointError)
    assert "in a generated mouth: chunk 7; download the weights again" in message
    half = load(checkpoint=broken, dtype=torch.float16)
    message = refusal(lambda: half(chunk(7)), CheckpointError)
    assert "set runtime.precision=fp32, or bf16" in message and "the weights" in message


class Exhausted:
    """A U-Net that is too large."""

    def step(self, *_: object, **__: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_too_little_memory_names_what_can_be_lowered(load: Load) -> None:
    generator = load(vae_batch=2)
    generator._unet = Exhausted()
    message = refusal(lambda: generator(chunk()), ConfigError)
    assert "data.resolution=64, generate.vae_batch=2" in message


def test_a_frame_that_comes_twice_has_one_mouth(load: Load) -> None:
    crops, audio = chunk().crops[[0, 1, 2, 1]], chunk().audio[[0, 1, 2, 1]]
    generator = load()
    plain = generator(Chunk(0, crops, audio))
    filled = generator(Chunk(0, crops, audio, np.array([7, 8, 9, 8])))
    torch.testing.assert_close(filled[:3], plain[:3], rtol=0, atol=BIT_NOISE)
    assert torch.equal(filled[1], filled[3])
    assert not torch.equal(plain[1], plain[3]), "each place has different noise"


@pytest.mark.parametrize(
    "wrong",
    [
        chunk(frames=17),
        Chunk(0, torch.zeros(2, 3, 32, 32), torch.zeros(2, 50, 384)),
        Chunk(0, torch.zeros(2, 3, 64, 64), torch.zeros(1, 50, 384)),
        Chunk(0, torch.zeros(2, 3, 64, 64), torch.zeros(2, 50, 768)),
    ],
    ids=["too long", "too small", "too little audio", "another encoder's audio"],
)
def test_a_chunk_of_the_wrong_shape_raises(plain: LipGenerator, wrong: Chunk) -> None:
    with pytest.raises(ValueError, match="chunk"):
        plain(wrong)


def test_a_mask_of_another_size_raises(configured: Callable[..., Config]) -> None:
    with pytest.raises(ValueError, match="mask"):
        load_generator(configured(), REFERENCE, mask=np.zeros((32, 32), np.float32))
