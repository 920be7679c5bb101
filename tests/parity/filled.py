"""Networks with weights made by rule, as the golden files were made."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any, TypeVar

import numpy as np
from torch import nn

from latentsync.generate.coding import LATENT_SCALE, Autoencoder
from tests.parity.rule import weight

M = TypeVar("M", bound=nn.Module)


def filled(network: M) -> M:
    """The network, ready to run; position encodings stay as constructed: they are a formula."""
    state = {
        key: value if key.endswith(".pe") else weight(key, tuple(value.shape))
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def autoencoder(vae: Any) -> Autoencoder:
    """diffusers.AutoencoderKL, filled, with the scale of its latents."""
    vae = filled(vae)
    vae.latent_scale = LATENT_SCALE
    return vae


def filled_while_it_runs(network: M) -> M:
    """The network on meta: each layer gets its weights when it runs, in one array for all.

    For networks of gigabytes, most of whose time would go to getting memory. No gradients.
    """
    largest = max(prod(value.shape) for value in network.parameters())
    array = np.empty(largest, np.float32)
    for name, layer in network.named_modules():
        if next(layer.parameters(recurse=False), None) is not None:
            layer.register_forward_pre_hook(partial(_fill, name, array))
            layer.register_forward_hook(_empty)
    return network.eval().requires_grad_(False)


def _fill(name: str, array: np.ndarray, layer: nn.Module, inputs: object) -> None:
    for key, value in layer.named_parameters(recurse=False):
        shape = tuple(value.shape)
        out = array[: prod(shape)].reshape(shape) if len(shape) > 1 else None
        made = weight(f"{name}.{key}", shape, out)
        setattr(layer, key, nn.Parameter(made, requires_grad=False))


def _empty(layer: nn.Module, inputs: object, result: object) -> None:
    layer.to("meta")
