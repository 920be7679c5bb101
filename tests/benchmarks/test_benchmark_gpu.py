"""The GPU benchmark computes what the product does, needs only PyTorch, runs everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks import gpu
from benchmarks.gpu_measure import chunk_of, video_floor
from benchmarks.gpu_stages import (
    Chain,
    Setting,
    ddim,
    decoder,
    encoder,
    make_models,
    stepper,
)
from benchmarks.gpu_vae import PlainVAE
from latentsync.generate.coding import LATENT_SCALE
from latentsync.generate.diffusion import sampling
from latentsync.generate.diffusion.sampling import Noise
from latentsync.generate.vae import STANDARD, make_vae
from latentsync.runtime.memory import set_memory_format

SETTING = Setting(torch.device("cpu"), torch.float32, 64, frames=4, faces=0, small=True)
HEAVY = {"av", "cv2", "diffusers", "transformers", "omegaconf", "openvino", "scipy"}


class Autoencoder(torch.nn.Module):
    """PlainVAE with the interface of diffusers' network."""

    device, dtype, latent_scale = SETTING.device, SETTING.dtype, LATENT_SCALE

    def __init__(self, vae: PlainVAE) -> None:
        super().__init__()
        self.vae = vae

    def encode(self, images: Tensor) -> SimpleNamespace:
        mean, std = self.vae.moments(images)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, std=std))

    def decode(self, latents: Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=self.vae.decode(latents))


def test_the_vae_is_the_one_of_diffusers() -> None:
    with torch.device("meta"):
        ours, theirs = PlainVAE().state_dict(), make_vae().state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    structure = {"block_out_channels": [16, 32, 32, 32], "norm_num_groups": 8}
    reference = make_vae(STANDARD | structure).eval()
    vae = PlainVAE(widths=(16, 32, 32, 32), groups=8).eval()
    vae.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = reference.encode(images).latent_dist
        mean, std = vae.moments(images)
        torch.testing.assert_close(mean, expected.mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(std, expected.std, rtol=1e-4, atol=1e-5)
        decoded = reference.decode(mean).sample
        torch.testing.assert_close(vae.decode(mean), decoded, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [8, 20])
def test_the_scheduler_is_the_product_s(steps: int) -> None:
    scheduler = sampling.make_scheduler("ddim")
    scheduler.set_timesteps(steps)
    table = ddim(steps)
    assert table[:, 0].tolist() == scheduler.timesteps.tolist()
    x, noise = torch.randn(2, 1, 4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    for row in table:
        expected = scheduler.step(noise, int(row[0]), x).prev_sample
        # The scheduler multiplies its thousand factors in float32.
        torch.testing.assert_close(row[1] * x + row[2] * noise, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("mode", "guided"), [("eager", False), ("graph", True)])
def test_a_chunk_comes_out_as_the_product_makes_it(mode: str, guided: bool) -> None:
    torch.manual_seed(0)
    models = make_models(SETTING)
    chain = Chain(models, SETTING, mode=mode, batch=2)
    crops, audio, vae_noise, initial = chunk_of(SETTING)
    latents = chain.denoised(
        chain.conditions(crops, vae_noise), audio, initial, steps=4, interval=3, guided=guided
    )
    faces = chain.composited(chain.decoded(latents), crops)
    vae, noise = Autoencoder(models.vae), Noise(initial, *vae_noise.chunk(2))
    conditions = sampling.prepare(vae, crops, chain.keep, noise)
    expected = sampling.denoise(
        models.unet,
        conditions,
        audio,
        initial,
        steps=4,
        guidance=1.5 if guided else 1.0,
        cache_interval=3,
    )
    decoded = sampling.decode(vae, expected)
    # Random weights give values of some thousands, which differ by rounding only.
    scale = decoded.abs().max().item()
    difference = (faces - sampling.composite(decoded, crops, chain.keep)).abs().max().item()
    assert scale > 0
    assert difference < 1e-4 * scale


class OnlyMeta(TorchDispatchMode):
    """Records every operation on a tensor elsewhere: on a GPU it would involve the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
        if any(tensor.device.type != "meta" for tensor in tensors):
            self.elsewhere.append(str(func))
        return result


def test_no_stage_at_full_size_needs_the_cpu_or_reads_a_value() -> None:
    """Otherwise it could not be recorded as a CUDA graph. Meta tensors have no values to read."""
    own = Setting(torch.device("meta"), torch.bfloat16, 512)
    models = make_models(own)
    assert models.restorer is not None
    unet, side = models.unet, own.side

    def blank(*shape: int) -> Tensor:
        return torch.empty(shape, device="meta")

    x, row, conditions = (
        blank(1, 4, 16, side, side),
        blank(3),
        blank(1, 9, 16, side, side).bfloat16(),
    )
    audio, faces = blank(32, 50, 384).bfloat16(), blank(16, 3, 512, 512)
    step = stepper(unet, guided=True)
    with torch.no_grad(), OnlyMeta() as seen:
        after, deep = step(x, row, conditions, audio)
        assert step(x, row, conditions, audio, deep)[0].shape == after.shape == x.shape
        latents = encoder(models.vae, own.dtype)(faces, blank(16, 4, side, side))
        assert decoder(models.vae, own.dtype)(latents).shape == faces.shape
        assert models.restorer(faces.bfloat16()).shape == faces.shape
    assert seen.elsewhere == []


def test_what_would_need_the_cpu_is_noticed() -> None:
    with torch.no_grad(), OnlyMeta() as seen:
        torch.empty(2, device="meta") + torch.tensor(1.0)
    assert seen.elsewhere != []


def test_convolutions_change_their_layout_and_keep_their_weights() -> None:
    network = torch.nn.Module()
    network.conv = torch.nn.Conv2d(3, 4, 3)
    network.modulated = torch.nn.Parameter(torch.randn(1, 4, 3, 3, 3))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    set_memory_format(network, torch.channels_last)
    assert network.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert network.modulated[0].is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    set_memory_format(network, torch.contiguous_format)
    assert network.conv.weight.is_contiguous() and network.modulated.is_contiguous()


def test_the_floor_of_a_video_is_the_sum_of_its_arithmetic() -> None:
    work = {
        "VAE encode, 2 x 4": 100.0,
        "U-Net, whole step": 10.0,
        "U-Net, cached step": 1.0,
        "U-Net, whole guided step": 20.0,
        "U-Net, cached guided step": 2.0,
        "VAE decode, 4": 50.0,
    }
    # 20 steps, every third of them whole: 7 and 13.
    expected = 4 / ((100 + 7 * 20 + 13 * 2 + 50) / 1000)
    found = video_floor(work, SETTING, steps=20, interval=3, guided=True, rate=1000)
    assert found == pytest.approx(expected)


def test_the_command_measures_every_stage_and_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    little = ["--small", "--faces=0", "--frames=2", "--steps=2", "--chunks=1", "--repeat=1"]
    modes = ["--modes", "eager", "graph"]
    gpu.run(gpu.options(["--device=cpu", *little, *modes, f"--json={file}"]))
    figures = json.loads(file.read_text("utf-8"))
    assert list(figures["modes"]) == ["eager", "graph"]
    for mode in figures["modes"].values():
        assert len(mode["stages"]) == 10
        assert all(stage["seconds"] > 0 for stage in mode["stages"].values())
        assert mode["stages"]["U-Net, whole step"]["flop"] > 1e8
        assert [video["fps"] > 0 for video in mode["videos"]] == [True] * 4
    printed = capsys.readouterr().out
    assert "2 steps, cache 3, guided" in printed
    assert "VAE encode, 2 x 2" in printed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit) as stop:
        gpu.main()
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert (
        said.err.startswith("error: no CUDA device in this machine") and said.err.count("\n") == 1
    )


def test_it_needs_pytorch_and_pure_modules_alone() -> None:
    code = "import sys, benchmarks.gpu; print(' '.join(n for n in sys.modules if '.' not in n))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()
