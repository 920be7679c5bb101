"""OpenVINO's graph of our U-Net computes what the original network does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.models.parts import DeepLayers, LastLayer
from latentsync.models.unet import UNet3DConditionModel, time_waves
from latentsync.runtime import openvino
from latentsync.runtime.execution import REFERENCE
from tests.parity.filled import filled
from tests.parity.rule import HERE

TOLERANCE = 1e-4  # about 4e-6 is seen, from another order of sums; the output's deviation is 0.6


@pytest.fixture(scope="module")
def converted() -> dict[str, tuple[Any, tuple[Tensor, ...]]]:
    """Both parts of the golden file's network, with what goes into them."""
    golden = np.load(HERE / "golden" / "unet_tiny.npz")
    about = json.loads((HERE / "golden" / "unet_tiny.json").read_text())
    network = filled(UNet3DConditionModel(**about["config"]))
    sample, timestep, audio = (torch.from_numpy(golden[n]) for n in ("sample", "timestep", "audio"))
    waves = time_waves(timestep.reshape(-1).expand(len(sample)), network.time_embedding.channels)
    with torch.no_grad():
        deep = network.deep(sample, waves, audio)
    parts = {
        "deep": (DeepLayers(network), (sample, waves, audio)),
        "last": (LastLayer(network), (sample, deep, waves, audio)),
    }
    return {name: (openvino.convert(part, given), given) for name, (part, given) in parts.items()}


def by_openvino(converted: Any, dtype: torch.dtype) -> Tensor:
    """The golden output. converted: models, or paths of models."""
    (first, given), (second, (sample, _, *others)) = converted["deep"], converted["last"]
    execution = replace(REFERENCE, backend="openvino", threads=1)

    def part(model: Any, *inputs: Tensor) -> Tensor:
        return openvino.Graph(model, inputs, execution, dtype)(*inputs)[0]

    return part(second, sample, part(first, *given), *others)


def test_openvino_reproduces_the_golden_output_in_float32(converted: Any) -> None:
    golden = torch.from_numpy(np.load(HERE / "golden" / "unet_tiny.npz")["out"])
    made = by_openvino(converted, torch.float32)
    torch.testing.assert_close(made, golden, rtol=0, atol=TOLERANCE)


@pytest.mark.skipif(
    "BF16" not in openvino.plugins().get("CPU", ()), reason="this CPU does not compute in bf16"
)
def test_openvino_s_bf16_is_near_and_weights_kept_in_fp16_take_nothing_from_it(
    converted: Any, tmp_path: Path
) -> None:
    golden = torch.from_numpy(np.load(HERE / "golden" / "unet_tiny.npz")["out"])
    kept = {}
    for name, (model, given) in converted.items():
        openvino.save(model, tmp_path / f"{name}.xml", halved=True)
        kept[name] = tmp_path / f"{name}.xml", given
    errors = [
        (by_openvino(either, torch.bfloat16) - golden).std() / golden.std()
        for either in (converted, kept)
    ]
    assert 1e-3 < errors[0] < 0.05, "as PyTorch's own; below, it would not be bf16"
    # Rounded to 11 bits first and then to 8, a weight is hardly ever another one.
    assert errors[1] < 1.1 * errors[0]
