"""A rewritten graph computes what the module computes, with other operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

pytest.importorskip("openvino", reason="OpenVINO is not installed")
from latentsync.runtime import openvino
from latentsync.runtime.execution import Execution
from latentsync.runtime.graph_rewrites import doubling_kernel, rewrite
from latentsync.runtime.network import Networks, Part

CPU = Execution(torch.device("cpu"), "openvino", torch.float32)
NORM, ENLARGED, JOINED = "GroupNormalization", "Interpolate", "ConvolutionBackpropData"


class Enlarged(nn.Module):
    """A convolution after an enlargement; mode and scale: of the enlargement."""

    def __init__(self, mode: str = "nearest", scale: float = 2.0, **of_convolution: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mode, self.scale = mode, scale
        self.conv = nn.Conv2d(6, 5, **({"kernel_size": 3, "padding": 1} | of_convolution))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=self.scale, mode=self.mode))


class Twice(Enlarged):
    """What was enlarged is used by something else as well."""

    def forward(self, x: Tensor) -> Tensor:
        enlarged = F.interpolate(x, scale_factor=self.scale, mode=self.mode)
        return self.conv(enlarged) + enlarged[:, :5]


def values(*shape: int, mean: float = 0.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)) + mean


def norm(groups: int, channels: int, **more: Any) -> nn.GroupNorm:
    torch.manual_seed(0)
    made = nn.GroupNorm(groups, channels, **more)
    if made.affine:
        nn.init.normal_(made.weight)
        nn.init.normal_(made.bias)
    return made


def computed(module: nn.Module, x: Tensor) -> tuple[Tensor, Counter[str]]:
    """By the rewritten graph; and which operations it has."""
    model = openvino.convert(module.eval(), [x])
    rewrite(model)
    kinds = Counter(one.get_type_name() for one in model.get_ops())
    return openvino.Graph(model, [x], CPU, torch.float32)(x)[0], kinds


@pytest.mark.parametrize("size", [(1, 6, 1, 1), (1, 6, 1, 4), (2, 6, 5, 3), (1, 6, 8, 8)], ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_enlarging_and_a_convolution_become_one(size: tuple[int, ...], bias: bool) -> None:
    module, x = Enlarged(bias=bias), values(*size)
    made, kinds = computed(module, x)
    torch.testing.assert_close(made, module(x), rtol=0, atol=1e-5)
    assert kinds[JOINED] == 1 and kinds[ENLARGED] == kinds["Convolution"] == 0


@pytest.mark.parametrize(
    "module",
    [
        Enlarged(mode="bilinear"),
        Enlarged(scale=3.0),
        Enlarged(padding=0),
        Enlarged(stride=2),
        Enlarged(kernel_size=5, padding=2),
        Enlarged(dilation=2),
    ],
    ids=["bilinear", "three times", "no padding", "stride", "5 x 5", "dilation"],
)
def test_what_is_something_else_stays(module: nn.Module) -> None:
    x = values(1, 6, 7, 6)
    made, kinds = computed(module, x)
    torch.testing.assert_close(made, module(x), rtol=0, atol=1e-5)
    assert kinds[JOINED] == 0


def test_what_was_enlarged_may_be_used_elsewhere() -> None:
    module, x = Twice(), values(1, 6, 7, 6)
    torch.testing.assert_close(computed(module, x)[0], module(x), rtol=0, atol=1e-5)


def test_the_joined_kernel_takes_every_weight_four_times() -> None:
    weights = torch.randn(5, 6, 3, 3).numpy()
    kernel = doubling_kernel(weights)
    assert kernel.shape == (6, 5, 4, 4)
    torch.testing.assert_close(
        torch.from_numpy(kernel.sum((2, 3))), torch.from_numpy(4 * weights.sum((2, 3)).T)
    )


@pytest.mark.parametrize("groups", [1, 3, 12])
@pytest.mark.parametrize("size", [(1, 12, 1, 2), (2, 12, 5, 7), (3, 12, 64, 64)], ids=str)
def test_a_norm_is_computed_from_sums(groups: int, size: tuple[int, ...]) -> None:
    module, x = norm(groups, 12), values(*size, mean=3)
    made, kinds = computed(module, x)
    torch.testing.assert_close(made, module(x), rtol=0, atol=1e-5)
    assert kinds[NORM] == 0


def test_a_norm_far_from_zero_is_as_exact_as_pytorch_s() -> None:
    module, x = norm(4, 12), values(1, 12, 128, 128, mean=1000)
    exact = F.group_norm(x.double(), 4, module.weight.double(), module.bias.double(), module.eps)
    made = (computed(module, x)[0] - exact).abs().max()
    assert made < 2 * max((module(x) - exact).abs().max(), torch.tensor(1e-4))


def test_the_number_that_is_added_to_the_variance_counts() -> None:
    module, x = norm(3, 12, eps=0.5), values(1, 12, 4, 4)
    torch.testing.assert_close(computed(module, x)[0], module(x), rtol=0, atol=1e-5)


def test_a_norm_of_three_dimensions_and_one_without_weights() -> None:
    flat, x = norm(3, 12), values(2, 12, 20)
    made, kinds = computed(flat, x)
    torch.testing.assert_close(made, flat(x), rtol=0, atol=1e-5)
    assert kinds[NORM] == 1
    plain, x = norm(3, 12, affine=False), values(2, 12, 4, 5)
    torch.testing.assert_close(computed(plain, x)[0], plain(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "plugin", "rewritten"),
    [
        (torch.float32, "CPU", True),
        (torch.bfloat16, "CPU", False),
        (torch.float16, "GPU.1", False),
        (torch.float32, "GPU.1", False),
    ],
)
def test_what_it_was_measured_for_is_rewritten(
    dtype: torch.dtype,
    plugin: str,
    rewritten: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights").write_text("by rule")
    graphs: list[Path] = []
    monkeypatch.setattr(openvino, "Graph", lambda model, *_: graphs.append(model))
    networks = Networks(
        lambda _: Enlarged().eval(),
        name="enlarged",
        checkpoint=tmp_path / "weights",
        execution=replace(CPU, dtype=dtype, plugin=plugin),
    )
    networks.part(Part("whole", lambda network: network), values(1, 6, 7, 6))
    kinds = {one.get_type_name() for one in openvino.core().read_model(graphs[0]).get_ops()}
    assert (JOINED in kinds) is rewritten
