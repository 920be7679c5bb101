"""TAESD in place of the VAE: diffusers' arithmetic, and its own scale in both generators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.generate import coding, timing
from latentsync.generate.base import Reconstructing
from latentsync.generate.diffusion import sampling
from latentsync.generate.diffusion.generator import LatentSync
from latentsync.generate.diffusion.noise import per_chunk_noise
from latentsync.generate.diffusion.timing import trials
from latentsync.generate.musetalk.one_step import inputs, without_lower_half
from latentsync.generate.vae import VAEInParts, load_vae
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.settings.schema import Config
from latentsync.weights.manifest import TAESD, VAE
from tests.generate.conftest import FRAMES, Load, chunk, refusal
from tests.parity.filled import filled
from tests.support.tiny_latentsync import RESOLUTION, write_taesd

FACES = chunk().crops
SIDE = RESOLUTION // 8
ORDER_OF_SUMS = 1e-4
GRAPHS = replace(REFERENCE, backend="openvino", threads=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_taesd(tmp_path_factory.mktemp("taesd")) / "taesd.safetensors"


@pytest.fixture
def draft(weights: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> LatentSync:
    """The tiny LatentSync with the weights in a folder where they are searched."""
    monkeypatch.setenv("LATENTSYNC_CHECKPOINTS", str(weights.parent))
    return load(vae="taesd")


@pytest.fixture(scope="module")
def original() -> AutoencoderTiny:
    return filled(AutoencoderTiny())


@pytest.fixture(scope="module")
def latents(original: AutoencoderTiny) -> Tensor:
    with torch.no_grad():
        return original.encode(FACES).latents


@pytest.fixture(scope="module")
def decoded(original: AutoencoderTiny, latents: Tensor) -> Tensor:
    with torch.no_grad():
        return original.decode(latents).sample


@pytest.fixture(scope="module")
def vae(weights: Path) -> VAEInParts:
    return load_vae(weights, REFERENCE, TAESD)


def near(made: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(made, expected, rtol=0, atol=ORDER_OF_SUMS)


def test_the_published_file_is_as_long_as_this_network_s(weights: Path) -> None:
    assert weights.stat().st_size == TAESD.bytes
    assert TAESD.is_small, "it is downloaded without a question"


@pytest.mark.parametrize("execution", [REFERENCE, GRAPHS], ids=["torch", "openvino"])
def test_faces_and_latents_are_those_of_the_original(
    weights: Path, latents: Tensor, decoded: Tensor, execution: Execution
) -> None:
    vae = load_vae(weights, execution, TAESD)
    near(coding.encode(vae, FACES), latents)
    near(coding.decode(vae, latents), decoded)
    noise = torch.ones(FRAMES, 4, SIDE, SIDE)
    near(coding.encode(vae, FACES, noise), latents)


def test_a_face_is_read_and_written_from_minus_1_to_1(vae: VAEInParts) -> None:
    """What the network itself reads and writes is 0 to 1."""
    network = filled(AutoencoderTiny())
    with torch.no_grad():
        near(coding.encode(vae, FACES), network.encoder.layers((FACES + 1) / 2))
        latents = 5 * torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        inner = network.decoder.layers(3 * torch.tanh(latents / 3))
    near(coding.decode(vae, latents), 2 * inner - 1)


def test_latentsync_is_given_its_latents_as_they_are(vae: VAEInParts, latents: Tensor) -> None:
    noise = per_chunk_noise(0, 0, FRAMES, SIDE, device=REFERENCE.device)
    conditions = sampling.prepare(vae, FACES, torch.ones(RESOLUTION, RESOLUTION), noise)
    for masked_or_reference in (conditions[0, 1:5], conditions[0, 5:9]):
        near(masked_or_reference.transpose(0, 1), latents)


def test_musetalk_is_given_its_latents_as_they_are(
    vae: VAEInParts, original: AutoencoderTiny, latents: Tensor
) -> None:
    made = inputs(vae, FACES, coding.encode(vae, FACES))
    with torch.no_grad():
        near(made[:, :4], original.encode(without_lower_half(FACES)).latents)
    near(made[:, 4:], latents)


def test_a_chunk_of_a_draft_is_made_with_it(
    draft: LatentSync, vae: VAEInParts, mask: np.ndarray
) -> None:
    generator, given = draft, chunk()
    noise = per_chunk_noise(generator.seed, 0, FRAMES, SIDE, device=REFERENCE.device)
    keep = torch.from_numpy(1 - mask)
    conditions = sampling.prepare(vae, given.crops, keep, noise)
    denoised = sampling.denoise(
        generator._unet, conditions, given.audio, noise.initial, steps=2, cache_interval=1
    )
    near(generator(given), sampling.composite(sampling.decode(vae, denoised), given.crops, keep))


def test_self_is_fitted_to_what_the_draft_s_vae_makes_of_a_face(
    draft: LatentSync, decoded: Tensor
) -> None:
    assert isinstance(draft, Reconstructing)
    near(draft.reconstruct(FACES), decoded)


def test_a_draft_is_estimated_by_the_operations_of_its_own_vae(
    configured: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame is encoded twice and decoded once, at 96 GFLOP for 256 pixels."""
    monkeypatch.setattr(timing, "SMALL_SIDE", 4)
    nothing: Any = None
    _, coding_trial = trials(configured(vae="taesd"), REFERENCE, nothing)
    operations = timing.work(coding_trial.run) * coding_trial.per_frame
    assert operations == pytest.approx(96.5e9 * (RESOLUTION / 256) ** 2, rel=0.02)


def test_weights_of_the_other_vae_are_refused(
    weights: Path, sections: dict[str, dict[str, str]], load: Load
) -> None:
    large = Path(sections["generate"]["vae"]) / VAE.filename
    wrong = load_vae(large, GRAPHS, TAESD)
    message = refusal(lambda: wrong.prepare(RESOLUTION, 1), CheckpointError)
    assert "holds a VAE of Stable Diffusion, TAESD is wanted" in message
    message = refusal(lambda: load(vae=str(weights)), CheckpointError)
    assert "holds TAESD, or another tiny VAE, sd-vae-ft-mse is wanted" in message
