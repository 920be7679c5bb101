"""On a GPU the networks compute what they compute on a CPU, as the product runs them there.

The golden files were made on a CPU in float32. Errors are in parts of the contrast (the standard
deviation of the golden output), on average and at most.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from CodeFormer.network import CodeFormer
from CodeFormer.parts import CodeFormerInParts
from GFPGAN.network import GFPGANv1Clean
from latentsync.generate.diffusion.unet_runner import UNetInParts
from latentsync.generate.musetalk.network import STRUCTURE, UNetInOneStep, make_unet
from latentsync.generate.musetalk.one_step import predict
from latentsync.generate.vae import DECODER, make_vae
from latentsync.models.unet import UNet3DConditionModel
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.runtime.network import Networks, Part
from tests.parity.filled import filled
from tests.parity.rule import HERE, face, named_normal, published_shapes, weights
from tests.parity.test_whisper import encoder_of, features_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

logger = logging.getLogger(__name__)

WHOLE = Part("whole", lambda net: net)


@dataclass(frozen=True)
class Limits:
    """Mean and largest error, in parts of the contrast."""

    mean: float
    most: float


FORMATS = {
    # PyTorch rounds the factors of convolutions to TF32, 11 bits, unless it is told otherwise.
    torch.float32: Limits(2e-3, 3e-2),
    torch.bfloat16: Limits(3e-2, 5e-1),
}


@pytest.fixture(params=FORMATS, ids=lambda dtype: str(dtype).removeprefix("torch."))
def execution(request: pytest.FixtureRequest) -> Execution:
    return Execution(torch.device("cuda"), "torch", request.param)


def near(made: Tensor, golden: np.ndarray | Tensor, execution: Execution) -> None:
    expected = torch.as_tensor(golden)
    errors = (made.float().cpu() - expected).abs() / expected.std()
    logger.info("mean error %.2g, at most %.2g of the contrast", errors.mean(), errors.max())
    limits = FORMATS[execution.dtype]
    assert errors.mean() < limits.mean
    assert errors.max() < limits.most


def networks(make: Callable[[], nn.Module], execution: Execution) -> Networks:
    def build(dtype: torch.dtype) -> nn.Module:
        return nn.Module.to(make().eval().requires_grad_(False), execution.device, dtype)

    return Networks(build, name="parity", checkpoint=Path(__file__), execution=execution)


def golden_of(name: str) -> tuple[Any, dict[str, Any]]:
    about = HERE / "golden" / f"{name}.json"
    return np.load(about.with_suffix(".npz")), json.loads(about.read_text())


def published(make: Callable[[], nn.Module], name: str) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        with torch.device("meta"):
            network = make()
        network.load_state_dict(weights(published_shapes(name)), assign=True)
        return network

    return made


def test_the_u_net_of_latentsync(execution: Execution) -> None:
    golden, about = golden_of("unet_tiny")
    config = about["config"]
    own = networks(lambda: filled(UNet3DConditionModel(**config)), execution)
    width = config["block_out_channels"][0]
    unet = UNetInParts(own, width=width, audio=384)
    sample, audio = (torch.from_numpy(golden[name]) for name in ("sample", "audio"))
    noise, deep = unet.step(sample, int(golden["timestep"]), audio)
    near(noise, golden["out"], execution)
    assert noise.device.type == deep.device.type == "cuda"


def test_what_is_recorded_gives_what_operations_one_by_one_give(execution: Execution) -> None:
    """The U-Net has no randomness, so that each call is told from the others by its input alone."""
    _, about = golden_of("unet_tiny")
    own = networks(lambda: filled(UNet3DConditionModel(**about["config"])), execution)
    unet = UNetInParts(own, width=about["config"]["block_out_channels"][0], audio=384)
    audio = torch.from_numpy(np.load(HERE / "golden" / "unet_tiny.npz")["audio"])
    samples = [
        torch.randn(2, 13, 16, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(3)
    ]
    first = [unet.step(sample, 601, audio)[0] for sample in samples]
    again = [unet.step(sample, 601, audio)[0] for sample in samples]
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)
    assert (again[0] - again[1]).abs().max() > 0.1, "the samples are too much alike"


def test_the_u_net_of_musetalk(execution: Execution) -> None:
    golden, about = golden_of("musetalk")
    structure: dict[str, Any] = STRUCTURE | about["unet_config"]
    unet = UNetInOneStep(networks(lambda: filled(make_unet(structure)), execution))
    latents = torch.from_numpy(golden["latents_mode"])
    audio = torch.from_numpy(
        named_normal(f"{about['named_prefix']}.audio", (len(latents), 50, 384))
    )
    near(predict(unet, latents, audio), golden["pred_mode"], execution)


def test_the_decoder_of_the_vae_at_full_width(execution: Execution) -> None:
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))

    def decoded(how: Execution) -> Tensor:
        own = networks(lambda: filled(make_vae()), how)
        return own.part(DECODER, latents)(latents)[0]

    near(decoded(execution), decoded(REFERENCE), execution)


def test_whisper(execution: Execution) -> None:
    with np.load(HERE / "golden" / "whisper.npz") as golden:
        mel = torch.zeros(1, 80, 3000)
        run = networks(lambda: encoder_of(golden), execution).part(WHOLE, mel)
        features = features_of(golden, golden["wave_1s"], lambda given: run(given)[0].float().cpu())
        near(torch.cat(list(features.segments())), golden["features_1s"], execution)


def test_gfpgan(execution: Execution) -> None:
    golden, one = np.load(HERE / "golden" / "gfpgan.npz"), face("restorer.face")
    run = networks(published(GFPGANv1Clean, "gfpgan_v14"), execution).part(WHOLE, one)
    near(run(one)[0][0, :, ::4, ::4], golden["out_every4"], execution)


def test_a_batch_of_gfpgan_restores_each_face_as_alone(execution: Execution) -> None:
    both = torch.cat([face("another.face"), face("restorer.face")])
    run = networks(published(GFPGANv1Clean, "gfpgan_v14"), execution).part(WHOLE, both)
    golden = np.load(HERE / "golden" / "gfpgan.npz")
    near(run(both)[0][1, :, ::4, ::4], golden["out_every4"], execution)


def test_codeformer(execution: Execution) -> None:
    """Generated weights leave the best codes nearly tied; trained ones differ more."""
    golden, one = np.load(HERE / "golden" / "codeformer.npz"), face("restorer.face")
    own = networks(published(CodeFormer, "codeformer"), execution)
    parts = CodeFormerInParts(own, w=0.5)
    other = float((parts.codes(one)[0].cpu() != torch.from_numpy(golden["codes"])).float().mean())
    logger.info("%.1f %% of the codes differ", 100 * other)
    assert other < (0.08 if execution.dtype == torch.bfloat16 else 0.005)
    chosen = torch.from_numpy(golden["codes"].astype(np.int64))[None]
    made = parts(one, lambda _: chosen.to(execution.device))
    near(made[0, :, ::4, ::4], golden["out_every4_w0.5"], execution)


def test_nothing_is_rounded_where_tf32_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    golden, one = np.load(HERE / "golden" / "gfpgan.npz"), face("restorer.face")
    exact = Execution(torch.device("cuda"), "torch", torch.float32)
    run: Callable[..., Sequence[Tensor]] = networks(
        published(GFPGANv1Clean, "gfpgan_v14"), exact
    ).part(WHOLE, one)
    made = run(one)[0][0, :, ::4, ::4].cpu()
    np.testing.assert_allclose(made, golden["out_every4"], rtol=0, atol=1e-3)
