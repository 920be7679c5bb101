"""The diffusion of a chunk gives upstream's result, sample for sample and step for step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor
from torch.nn import functional as F

from latentsync.generate.coding import LATENT_SCALE, Autoencoder
from latentsync.generate.diffusion.noise import Noise, per_chunk_noise, upstream_noise
from latentsync.generate.diffusion.sampling import (
    SCHEDULE,
    composite,
    decode,
    denoise,
    prepare,
)
from latentsync.models.unet import UNet3DConditionModel
from tests.parity.filled import autoencoder, filled
from tests.parity.rule import HERE

KIND = "sampling"
TOLERANCE = 2e-3  # a quarter of a code value; about 6e-6 is seen, from another order of sums
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Video:
    """What a golden file was made from, face by face."""

    about: dict[str, Any]
    golden: Any
    unet: UNet3DConditionModel
    vae: Autoencoder
    faces: Tensor
    keep: Tensor
    audio: Tensor

    def chunks(self) -> list[slice]:
        longest = self.about["num_frames"]
        return [slice(at, at + longest) for at in range(0, len(self.faces), longest)]

    def made(self, kind: str, **options: Any) -> Tensor:
        """All chunks. kind: the key of the golden file's settings of guidance and steps."""
        chosen = {"guidance": self.about[kind]["guidance_scale"], "cache_interval": 1, **options}
        counts = [len(self.faces[chunk]) for chunk in self.chunks()]
        side = self.faces.shape[-1] // 8
        noises = upstream_noise(self.about["seed"], counts, side, device=CPU)
        made = []
        for chunk, noise in zip(self.chunks(), noises, strict=True):
            faces = self.faces[chunk]
            conditions = prepare(self.vae, faces, self.keep, noise)
            latents = denoise(
                self.unet,
                conditions,
                self.audio[chunk],
                noise.initial,
                steps=self.about[kind]["steps"],
                **chosen,
            )
            made.append(composite(decode(self.vae, latents), faces, self.keep))
        return torch.cat(made)


def video_of(file: Path) -> Video:
    golden, about = np.load(file), json.loads(file.with_suffix(".json").read_text())
    count = len(golden["decoded_cfg"])
    faces = np.concatenate([golden["faces"], golden["faces"][::-1]])  # forwards and back again
    faces = torch.from_numpy(faces[np.arange(count) % len(faces)]).permute(0, 3, 1, 2)
    stages = len(about["vae"]["block_out_channels"])
    vae = AutoencoderKL(
        **about["vae"],
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
    )
    return Video(
        about=about,
        golden=golden,
        unet=filled(UNet3DConditionModel(**about["unet_config"])),
        vae=autoencoder(vae),
        faces=faces.float() / 127.5 - 1,
        keep=torch.from_numpy(golden["mask"]),
        audio=windows(golden["audio_features"], count),
    )


def windows(features: np.ndarray, count: int) -> Tensor:
    """(L, layers, c) at 50 Hz -> (count, 10 * layers, c): 0.2 s around each frame at 25 fps."""
    indices = 2 * np.arange(count)[:, None] + np.arange(-4, 6)
    gathered = features[np.clip(indices, 0, len(features) - 1)]
    return torch.from_numpy(gathered.reshape(count, -1, features.shape[-1]))


@pytest.fixture(scope="module")
def video(golden_file: Path) -> Video:
    return video_of(golden_file)


@pytest.fixture(scope="module")
def any_video() -> Video:
    return video_of(HERE / "golden" / "sampling.npz")


@pytest.mark.parametrize("kind", ["cfg", "nocfg"])
def test_the_golden_faces_are_reproduced(video: Video, kind: str) -> None:
    made, golden = video.made(kind).numpy(), video.golden[f"decoded_{kind}"]
    np.testing.assert_allclose(made, golden, rtol=0, atol=TOLERANCE)


# Conditions


def still(noise: Noise, value: float) -> Noise:
    same = torch.full_like(noise.masked, value)
    return Noise(noise.initial, same, same)


@pytest.fixture(scope="module")
def noise(any_video: Video) -> Noise:
    return per_chunk_noise(0, 0, 3, any_video.faces.shape[-1] // 8, device=CPU)


def test_mask_masked_and_reference_lie_in_upstream_s_order(any_video: Video, noise: Noise) -> None:
    vae, faces, keep = any_video.vae, any_video.faces[:3], any_video.keep
    conditions = prepare(vae, faces, keep, noise)
    side = faces.shape[-1] // 8
    assert conditions.shape == (1, 9, 3, side, side)
    for frame in range(3):
        assert torch.equal(conditions[0, 0, frame], keep[::8, ::8].float())
    blank = prepare(vae, torch.zeros_like(faces), keep, noise)
    nothing_kept = prepare(vae, faces, torch.zeros_like(keep), noise)
    assert torch.equal(nothing_kept[:, 1:5], blank[:, 1:5]), "what is not kept is mid-grey"
    assert torch.equal(nothing_kept[:, 5:], conditions[:, 5:]), "the reference knows no mask"
    all_kept = prepare(vae, faces, torch.ones_like(keep), still(noise, 0.0))
    assert torch.equal(all_kept[:, 1:5], all_kept[:, 5:])


def test_the_posterior_is_sampled_with_the_noise_that_is_given(
    any_video: Video, noise: Noise
) -> None:
    vae, faces = any_video.vae, any_video.faces[:3]
    with torch.no_grad():
        posterior = vae.encode(faces).latent_dist
    for value in (0.0, -2.0):
        conditions = prepare(vae, faces, any_video.keep, still(noise, value))
        expected = LATENT_SCALE * (posterior.mean + value * posterior.std)
        torch.testing.assert_close(conditions[0, 5:], expected.transpose(0, 1), rtol=0, atol=1e-5)
    assert posterior.std.min() > 0.01, "else sampling would not be put to the test"


@pytest.mark.parametrize("vae_batch", [1, 2, 16])
def test_the_frames_that_the_vae_holds_at_once_do_not_matter(
    any_video: Video, noise: Noise, vae_batch: int
) -> None:
    vae, faces, keep = any_video.vae, any_video.faces[:3], any_video.keep
    conditions = prepare(vae, faces, keep, noise, vae_batch=vae_batch)
    assert_same_but_for_rounding(conditions[:, 1:], prepare(vae, faces, keep, noise)[:, 1:])
    latents = conditions[:, 5:]
    decoded = decode(vae, latents, vae_batch=vae_batch)
    assert decoded.shape == faces.shape
    assert_same_but_for_rounding(decoded, decode(vae, latents))


def assert_same_but_for_rounding(made: Tensor, expected: Tensor) -> None:
    """Convolutions of another batch, or with other threads, sum in another order. That changes the
    largest values by up to 1.4e-5 of their size; a frame in another's place, by a tenth of it."""
    scale = float(expected.abs().max())
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4 * scale)
    others = (expected.roll(1, 2 if expected.dim() == 5 else 0) - expected).abs().max()
    assert others > 100 * 1e-4 * scale, "else frames could not be told from each other"


# Steps


class Recorder:
    """A U-Net that costs nothing; notes the size of each batch and whether the whole ran."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.whole: list[bool] = []

    def step(self, sample: Tensor, *_: Any, cached: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.batches.append(len(sample))
        self.whole.append(cached is None)
        return sample[:, :4], sample


class StaleUNet:
    """Runs the whole network in every step, but with what is deep held back for three steps."""

    def __init__(self, unet: UNet3DConditionModel) -> None:
        self.unet = unet
        self.calls = 0
        self.deep: Tensor | None = None

    def step(self, *args: Any, cached: Tensor | None = None) -> tuple[Tensor, Tensor]:
        before_last = self.unet.up_blocks[-1].motion_modules[-2]
        hook = before_last.register_forward_hook(self._hold)
        noise = self.unet(*args)
        hook.remove()
        self.calls += 1
        return noise, torch.empty(0)

    def _hold(self, module: object, args: object, out: Tensor) -> Tensor:
        if self.calls % 3 == 0:
            self.deep = out
        return self.deep


@pytest.fixture(scope="module")
def chunk(any_video: Video) -> dict[str, Tensor]:
    noise = per_chunk_noise(1, 0, 3, any_video.faces.shape[-1] // 8, device=CPU)
    conditions = prepare(any_video.vae, any_video.faces[:3], any_video.keep, noise)
    return {"conditions": conditions, "audio": any_video.audio[:3], "initial": noise.initial}


def test_the_sampler_has_upstream_s_steps_and_noise_levels() -> None:
    scheduler = DDIMScheduler(**SCHEDULE)
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist() == list(range(951, 0, -50))
    levels = scheduler.alphas_cumprod[[1, 951]].tolist()
    assert levels == pytest.approx([0.998296, 0.008155], abs=1e-6)
    assert float(scheduler.final_alpha_cumprod) == pytest.approx(0.99915, abs=1e-6)


@pytest.mark.parametrize("guidance", [1.5, 1.0])
def test_cached_steps_are_those_of_a_whole_network_with_a_stale_depth(
    any_video: Video, chunk: dict[str, Tensor], guidance: float
) -> None:
    options = {"steps": 7, "guidance": guidance}
    cached = denoise(any_video.unet, **chunk, **options, cache_interval=3)
    stale = denoise(StaleUNet(any_video.unet), **chunk, **options, cache_interval=1)
    fresh = denoise(any_video.unet, **chunk, **options, cache_interval=1)
    torch.testing.assert_close(cached, stale, rtol=0, atol=1e-5)
    assert (cached - fresh).abs().max() > 0.01, "else the cache would not be put to the test"


@pytest.mark.parametrize(
    ("interval", "whole"), [(1, range(20)), (3, range(0, 20, 3)), (20, range(1))]
)
def test_the_whole_network_runs_in_every_cache_interval_th_step(
    chunk: dict[str, Tensor], interval: int, whole: range
) -> None:
    recorder = Recorder()
    denoise(recorder, **chunk, guidance=1.0, cache_interval=interval)
    assert [number for number, ran in enumerate(recorder.whole) if ran] == list(whole)
    assert len(recorder.whole) == 20


def test_guidance_costs_a_second_pass_above_1_only(chunk: dict[str, Tensor]) -> None:
    for guidance, batch in ((0.0, 1), (1.0, 1), (1.1, 2)):
        recorder = Recorder()
        denoise(recorder, **chunk, steps=2, guidance=guidance)
        assert set(recorder.batches) == {batch}


@torch.no_grad()
def test_guidance_leads_away_from_the_unconditional_prediction(
    any_video: Video, chunk: dict[str, Tensor]
) -> None:
    """One step by hand: from time step 1 (ā_1) to ā_0, which stands for the finished image."""
    conditions, audio, initial = chunk["conditions"], chunk["audio"], chunk["initial"]
    x = initial.expand(-1, -1, 3, -1, -1)
    sample = torch.cat([x, conditions], dim=1)
    speaking = any_video.unet(sample, 1, audio)
    silent = any_video.unet(sample, 1, torch.zeros_like(audio))
    noise = silent + 2.5 * (speaking - silent)
    now, then = DDIMScheduler(**SCHEDULE).alphas_cumprod[[1, 0]].tolist()
    image = (x - (1 - now) ** 0.5 * noise) / now**0.5
    expected = then**0.5 * image + (1 - then) ** 0.5 * noise
    made = denoise(any_video.unet, **chunk, steps=1, guidance=2.5)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-4)
    assert F.l1_loss(speaking, silent) > 0.01, "else guidance would not be put to the test"
