"""Low-rank adaptation (LoRA, arXiv 2106.09685) of the U-Net's linear layers.

A layer with the weight W computes with W + alpha / rank * B A; only A and B train. Their keys are
the layer's own, as `...attn2.to_q.lora_A.weight` (rank, c_in) and `.lora_B.weight` (c_out, rank):
the names that peft writes, without its prefix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.errors import CheckpointError, ConfigError

TARGETS = ("attn1.", "attn2.", "attention_blocks.")
"""Parts of the names of layers: attention within a frame, to the audio, and over time."""
A, B = "lora_A.weight", "lora_B.weight"
NAMED_AT_MOST = 3  # keys in an error message


class LowRankLinear(nn.Linear):
    """(..., c_in) -> (..., c_out): a linear layer that shares its weights, and what is added.

    The added matrices are float32 whatever the layer's dtype, as they train.
    """

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator):
        """generator: on the CPU, for A. B is zero: the layer computes what it did, bit for bit."""
        bias = layer.bias is not None
        super().__init__(layer.in_features, layer.out_features, bias=bias, device="meta")
        self.weight, self.bias = layer.weight, layer.bias
        device = layer.weight.device
        self.lora_A = nn.Linear(layer.in_features, rank, bias=False, device="meta")
        self.lora_B = nn.Linear(rank, layer.out_features, bias=False, device="meta")
        self.lora_A.weight = nn.Parameter(_start(layer.in_features, rank, generator).to(device))
        self.lora_B.weight = nn.Parameter(torch.zeros(layer.out_features, rank, device=device))
        self.scale = alpha / rank
        self.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        made = F.linear(input, self.weight, self.bias)
        added = self.lora_B(self.lora_A(input.to(self.lora_A.weight.dtype)))
        return made + (added * self.scale).to(made.dtype)


def _start(c_in: int, rank: int, generator: torch.Generator) -> Tensor:
    """(rank, c_in) float32, uniform, as linear layers start."""
    return (2 * torch.rand(rank, c_in, generator=generator) - 1) / math.sqrt(c_in)


def inject(
    unet: nn.Module,
    rank: int,
    alpha: float,
    targets: Sequence[str] = TARGETS,
    *,
    seed: int = 0,
) -> list[nn.Parameter]:
    """Adds low-rank matrices to the linear layers whose names hold one of the targets, in place.

    Everything else is frozen. seed: of the matrices A. Returns what trains: A and B of each layer,
    in the network's order. Raises ConfigError: a target that no linear layer has, or matrices that
    are there already.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = target_layers(unet, targets)
    unet.requires_grad_(False)
    parameters: list[nn.Parameter] = []
    for name, layer in layers.items():
        parent, _, own = name.rpartition(".")
        added = LowRankLinear(layer, rank, alpha, generator)
        setattr(unet.get_submodule(parent), own, added)
        parameters += [*added.lora_A.parameters(), *added.lora_B.parameters()]
    return parameters


def target_layers(unet: nn.Module, targets: Sequence[str]) -> dict[str, nn.Linear]:
    """Name -> layer. Raises ConfigError as inject does."""
    layers = {name: one for name, one in unet.named_modules() if isinstance(one, nn.Linear)}
    if any(isinstance(one, LowRankLinear) for one in layers.values()):
        remedy = "load the U-Net again, or merge them first"
        raise ConfigError("the U-Net has a LoRA already", "not merged", remedy)
    for target in targets:
        if not any(target in f"{name}.weight" for name in layers):
            remedy = f"use parts of their names, such as {', '.join(TARGETS)}"
            raise ConfigError("LoRA: no linear layer of the U-Net is meant by", target, remedy)
    chosen = (name for name in layers if any(part in f"{name}.weight" for part in targets))
    return {name: layers[name] for name in chosen}


def lora_state(unet: nn.Module) -> dict[str, Tensor]:
    """Key -> float32 on the CPU, a copy: all that inject added."""
    return {
        f"{name}.{key}": weight.detach().to("cpu", copy=True)
        for name, layer in _added(unet)
        for key, weight in ((A, layer.lora_A.weight), (B, layer.lora_B.weight))
    }


def load_lora_state(unet: nn.Module, state: Mapping[str, Tensor], name: str = "LoRA") -> None:
    """Sets the matrices of a U-Net that went through inject; training goes on from there.

    name: of the file, for messages. Raises CheckpointError for missing and unexpected keys and
    wrong shapes.
    """
    wanted = {
        f"{layer}.{key}": weight
        for layer, own in _added(unet)
        for key, weight in ((A, own.lora_A.weight), (B, own.lora_B.weight))
    }
    _refuse({key: tuple(value.shape) for key, value in wanted.items()}, state, name)
    with torch.no_grad():
        for key, weight in wanted.items():
            weight.copy_(state[key])


def check_fits(
    unet: nn.Module, state: Mapping[str, Tensor], *, rank: int, targets: Sequence[str], name: str
) -> None:
    """Whether the matrices belong to the U-Net, which may be on `meta`. name: of the file.

    Raises CheckpointError in one line: another width, other layers, another rank.
    """
    try:
        layers = target_layers(unet, targets)
    except ConfigError as error:
        remedy = "it belongs to another U-Net"
        raise CheckpointError("the LoRA does not fit", f"{name} ({error.value})", remedy) from None
    wanted = {f"{layer}.{A}": (rank, one.in_features) for layer, one in layers.items()}
    wanted |= {f"{layer}.{B}": (one.out_features, rank) for layer, one in layers.items()}
    _refuse(wanted, state, name)


def merged(
    weights: Mapping[str, Tensor], state: Mapping[str, Tensor], scale: float
) -> dict[str, Tensor]:
    """The U-Net's weights with B A added; what is not adapted is the same tensor as before.

    weights: key -> (c_out, c_in, ...). scale: strength * alpha / rank; 0: nothing is computed. The
    sum is made in float32 and returned in the weights' dtype. The state fits: see check_fits.
    """
    made = dict(weights)
    if not scale:
        return made
    for key in [key for key in state if key.endswith(A)]:
        layer = key.removesuffix(A)
        weight, down, up = made.get(f"{layer}weight"), state[key], state[f"{layer}{B}"]
        # Weights of another network stay as they are: loading them says so.
        if weight is not None and weight.shape == (len(up), down.shape[1]):
            down, up = down.to(weight.device), up.to(weight.device)
            made[f"{layer}weight"] = _sum(weight, down.float(), up.float(), scale)
    return made


def _sum(weight: Tensor, down: Tensor, up: Tensor, scale: float) -> Tensor:
    return torch.addmm(weight.detach().float(), up, down, alpha=scale).to(weight.dtype)


def _added(unet: nn.Module) -> Iterator[tuple[str, LowRankLinear]]:
    for name, one in unet.named_modules():
        if isinstance(one, LowRankLinear):
            yield name, one


def _refuse(wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, Tensor], name: str) -> None:
    """Raises CheckpointError where keys or shapes differ."""
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    wrong = [
        f"{key} {tuple(given[key].shape)}, not {shape}"
        for key, shape in wanted.items()
        if key in given and tuple(given[key].shape) != shape
    ]
    found = (("missing", missing), ("unexpected", unexpected), ("wrong shape", wrong))
    complaints = [_listed(what, keys) for what, keys in found if keys]
    if complaints:
        remedy = "it belongs to another U-Net, or is not complete"
        raise CheckpointError("the LoRA does not fit", f"{name}: {'; '.join(complaints)}", remedy)


def _listed(what: str, keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED_AT_MOST} more" if len(keys) > NAMED_AT_MOST else ""
    return f"{what}: {', '.join(keys[:NAMED_AT_MOST])}{more}"
