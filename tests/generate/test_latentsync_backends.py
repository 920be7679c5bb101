"""LatentSync on OpenVINO gives the mouths of the reference, to within the rounding of its dtype."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentsync.generate import vae as vae_module
from latentsync.generate.base import LipGenerator
from latentsync.generate.table import load_generator
from latentsync.generate.vae import load_vae
from latentsync.runtime.execution import REFERENCE, Execution, output_dtype
from latentsync.runtime.openvino import plugins
from latentsync.settings.schema import Config, GenerateConfig
from latentsync.types import Chunk
from tests.support.tiny_latentsync import RESOLUTION, write_tiny_model

FP32 = replace(REFERENCE, backend="openvino", threads=1)
BF16 = replace(FP32, dtype=torch.bfloat16)
LACKS_BF16 = "BF16" not in plugins().get("CPU", ())
needs_bf16 = pytest.mark.skipif(LACKS_BF16, reason="this CPU does not compute in bf16")

FRAMES = 3
ORDER_OF_SUMS = 2e-3  # a quarter of a code value; 1e-4 is seen, over a range of about 2
ROUNDING = 0.05  # on average; 8 bits of precision, amplified by networks with random weights

Load = Callable[..., LipGenerator]


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


def chunk(frames: int = FRAMES) -> Chunk:
    g = torch.Generator().manual_seed(0)
    crops = torch.rand(frames, 3, RESOLUTION, RESOLUTION, generator=g) * 2 - 1
    return Chunk(0, crops, torch.randn(frames, 50, 384, generator=g))


@pytest.fixture(scope="module")
def load(sections: dict[str, dict[str, Any]]) -> Load:
    """A generator of chunks of FRAMES frames, whose mask covers the whole crop."""

    @cache
    def load_it(execution: Execution, **changes: Any) -> LipGenerator:
        config = Config(
            data=sections["data"] | {"num_frames": FRAMES},
            model=sections["model"],
            generate=GenerateConfig(**(sections["generate"] | changes)),
        )
        mask = np.ones((RESOLUTION, RESOLUTION), np.float32)
        return load_generator(config, execution, mask=mask)

    return load_it


@pytest.mark.parametrize(
    "settings",
    [{}, {"guidance": 1.0}, {"steps": 4, "step_cache": 3}],
    ids=["guided", "not guided", "cached"],
)
def test_in_float32_a_chunk_is_the_reference_s(load: Load, settings: dict[str, Any]) -> None:
    expected, made = (load(how, **settings)(chunk()) for how in (REFERENCE, FP32))
    torch.testing.assert_close(made, expected, rtol=0, atol=ORDER_OF_SUMS)


@needs_bf16
def test_in_bf16_a_chunk_is_as_close_to_the_reference_s_as_pytorch_s(load: Load) -> None:
    half = replace(REFERENCE, dtype=torch.bfloat16)
    expected, by_torch, made = (load(how)(chunk()) for how in (REFERENCE, half, BF16))
    assert made.dtype == torch.float32
    assert 1e-4 < (made - expected).abs().mean() < ROUNDING, "0: it was not computed in bf16"
    assert (made - expected).std() < 1.5 * (by_torch - expected).std()


def test_a_chunk_that_is_not_whole_is_prepared_for(load: Load) -> None:
    generator = load(FP32)
    whole, short = generator(chunk()), generator(chunk(2))
    torch.testing.assert_close(short, load(REFERENCE)(chunk(2)), rtol=0, atol=ORDER_OF_SUMS)
    assert torch.equal(generator(chunk()), whole)


def test_upstream_s_noise_is_sampled_in_the_networks_output_dtype() -> None:
    half = replace(REFERENCE, dtype=torch.bfloat16)
    assert output_dtype(half) == torch.bfloat16
    assert output_dtype(BF16) == output_dtype(FP32) == torch.float32


def test_what_has_been_converted_needs_no_diffusers(
    sections: dict[str, dict[str, Any]],
) -> None:
    vae = Path(sections["generate"]["vae"], "diffusion_pytorch_model.safetensors")
    load_vae(vae, FP32).prepare(RESOLUTION, 1)
    script = f"""
import sys, torch
from dataclasses import replace
from pathlib import Path
from latentsync.generate.vae import load_vae
from latentsync.runtime.execution import REFERENCE
vae = load_vae(Path({str(vae)!r}), replace(REFERENCE, backend="openvino", threads=1))
vae.prepare({RESOLUTION}, 1)
vae.encode(torch.zeros(1, 3, {RESOLUTION}, {RESOLUTION}))
sys.exit("diffusers" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# The same image twice


@pytest.fixture
def vae(sections: dict[str, dict[str, Any]]) -> vae_module.VAEInParts:
    file = Path(sections["generate"]["vae"], "diffusion_pytorch_model.safetensors")
    return load_vae(file, FP32)


def test_an_image_is_encoded_only_once(
    vae: vae_module.VAEInParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = chunk().crops
    first = vae.encode(images).latent_dist
    monkeypatch.delattr(vae, "_networks")
    again = vae.encode(images.flip(0)).latent_dist
    assert torch.equal(again.mean.flip(0), first.mean)
    assert torch.equal(again.std.flip(0), first.std)
    with pytest.raises(AttributeError):
        vae.encode(images + 1e-3)


def test_the_cache_of_posteriors_is_bounded(
    vae: vae_module.VAEInParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.linspace(-1, 1, 5)[:, None, None, None].expand(-1, 3, 64, 64)
    moments = 8 * (RESOLUTION // 8) ** 2 * 4  # mean and variance, float32
    monkeypatch.setattr(vae_module, "CACHE_BYTES", 2 * moments)
    vae.encode(images)
    monkeypatch.delattr(vae, "_networks")
    vae.encode(images[3:])
    with pytest.raises(AttributeError):
        vae.encode(images[2:3])
