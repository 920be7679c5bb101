"""Which parameters of the U-Net a training changes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from latentsync.errors import ConfigError

ALL = "all"
"""In place of a list of parts: every parameter."""
STAGE2 = ("motion_modules.", "attentions.")
"""Attention over time, and the spatial transformers with all their layers."""
EFFICIENT = ("motion_modules.", "attn2.")
"""Attention over time, and of the spatial transformers the attention to the audio."""


def choose(network: nn.Module, parts: Sequence[str] | str = ALL) -> list[nn.Parameter]:
    """Sets requires_grad of all parameters -> those that are trained, in the network's order.

    parts: pieces of names, as upstream's `trainable_modules`: a parameter is trained if its name
    has one of them in it; ALL or none at all: every one. Raises ConfigError for a piece that is in
    no name: a misspelt one would leave a part of the network untrained.
    """
    pieces = () if parts == ALL else (parts,) if isinstance(parts, str) else tuple(parts)
    names = [name for name, _ in network.named_parameters()]
    for piece in pieces:
        if not piece or not any(piece in name for name in names):
            remedy = "name pieces of parameters' names, as motion_modules. and attentions."
            raise ConfigError("no parameter of the network has this in its name", piece, remedy)
    chosen = []
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not pieces or any(piece in name for piece in pieces))
        if parameter.requires_grad:
            chosen.append(parameter)
    return chosen
