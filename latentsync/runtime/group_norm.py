"""Group norm of tensors in channels-last layout, for networks that run in 16 bits on a GPU.

PyTorch's own converts to the other layout, and the next convolution back. Here a tensor keeps its
layout: on an H100 the VAE takes half the time so, and a step of the U-Net at 512 pixels 64 ms, not
91. Without Triton, PyTorch computes the same sums, and the VAE takes 0.6 of the time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from latentsync.runtime import norm_kernels


class ChannelsLastNorm(nn.GroupNorm):
    """(N, C, T) or (N, C, h, w) -> the same shape and dtype, channels last. No gradients."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2).contiguous()  # no copy of what is channels-last
        scale, shift = _scale_and_shift(self, *_sums(tokens), count=tokens.shape[1])
        return _applied(tokens, scale, shift).transpose(1, 2).unflatten(2, x.shape[2:])


def use_channels_last_norms(network: nn.Module) -> None:
    """Every group norm of the network, and every class derived from it, works as above."""
    for module in network.modules():
        if isinstance(module, nn.GroupNorm):
            module.__class__ = _derived(type(module))


def _derived(kind: type[nn.GroupNorm]) -> type[nn.GroupNorm]:
    """kind with ChannelsLastNorm in place of nn.GroupNorm: what it calls by super() is ours."""
    if issubclass(kind, ChannelsLastNorm):
        return kind
    if kind is nn.GroupNorm:
        return ChannelsLastNorm
    return type(kind.__name__, (kind, ChannelsLastNorm), {})


def _scale_and_shift(
    norm: nn.GroupNorm, total: Tensor, squares: Tensor, *, count: int
) -> tuple[Tensor, Tensor]:
    """total, squares: (N, C) float32, sums over the tokens -> what a value is multiplied with, and
    what is added then, (N, C) float32."""
    number = count * norm.num_channels // norm.num_groups
    mean, square = (x.unflatten(1, (norm.num_groups, -1)).sum(2) / number for x in (total, squares))
    factor = ((square - mean * mean).clamp(min=0) + norm.eps).rsqrt()
    each = norm.num_channels // norm.num_groups
    mean, scale = (x.repeat_interleave(each, dim=1) for x in (mean, factor))
    if not norm.affine:
        return scale, -mean * scale
    scale = scale * norm.weight.float()
    return scale, norm.bias.float() - mean * scale


def _sums(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """(N, T, C) -> over T the sums of the values and of their squares, (N, C) float32."""
    if _by_triton(tokens):
        return norm_kernels.sums(tokens)
    norms = torch.linalg.vector_norm(tokens, dim=1, dtype=torch.float32)
    return tokens.sum(1, dtype=torch.float32), norms.square()


def _applied(tokens: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    if _by_triton(tokens):
        return norm_kernels.applied(tokens, scale, shift)
    return torch.addcmul(shift[:, None], tokens, scale[:, None], out=torch.empty_like(tokens))


def _by_triton(tokens: Tensor) -> bool:
    return tokens.is_cuda and norm_kernels.available()
