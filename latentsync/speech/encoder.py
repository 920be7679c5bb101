"""The audio encoder of Whisper, key-compatible with the published weights (arXiv 2212.04356).

Lip-sync uses the hidden states of all layers, not only the last one.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.speech.mel import FEATURE_FRAMES, N_MELS, SEGMENT_FRAMES

N_CTX = SEGMENT_FRAMES // FEATURE_FRAMES  # features of one segment; 30 s
LONGEST_WAVE = 10000  # slowest wave of the positional embedding: features per radian
PART = "encoder."  # prefix of the keys; the files hold a decoder as well


class Attention(nn.Module):
    def __init__(self, n_state: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.query = nn.Linear(n_state, n_state)
        self.key = nn.Linear(n_state, n_state, bias=False)
        self.value = nn.Linear(n_state, n_state)
        self.out = nn.Linear(n_state, n_state)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            rearrange(layer(x), "b n (h d) -> b h n d", h=self.n_head)
            for layer in (self.query, self.key, self.value)
        )
        x = F.scaled_dot_product_attention(q, k, v)
        return self.out(rearrange(x, "b h n d -> b n (h d)"))


class Block(nn.Module):
    def __init__(self, n_state: int, n_head: int) -> None:
        super().__init__()
        self.attn = Attention(n_state, n_head)
        self.attn_ln = nn.LayerNorm(n_state)
        self.mlp = nn.Sequential(
            nn.Linear(n_state, 4 * n_state), nn.GELU(), nn.Linear(4 * n_state, n_state)
        )
        self.mlp_ln = nn.LayerNorm(n_state)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.attn_ln(x))
        return x + self.mlp(self.mlp_ln(x))


class AudioEncoder(nn.Module):
    """The weights below `encoder.` in a weights file."""

    positional_embedding: Tensor

    def __init__(
        self,
        *,
        n_mels: int,
        n_ctx: int,
        n_state: int,
        n_head: int,
        n_layer: int,
        normed: bool = False,
    ) -> None:
        super().__init__()
        self.normed = normed
        self.conv1 = nn.Conv1d(n_mels, n_state, 3, padding=1)
        self.conv2 = nn.Conv1d(n_state, n_state, 3, stride=FEATURE_FRAMES, padding=1)
        self.register_buffer("positional_embedding", sinusoids(n_ctx, n_state))
        self.blocks = nn.ModuleList(Block(n_state, n_head) for _ in range(n_layer))
        # LatentSync was trained on the states before it. Every weights file has it.
        self.ln_post = nn.LayerNorm(n_state)

    def forward(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel))))
        x = rearrange(x, "b c n -> b n c") + self.positional_embedding
        states = [x]
        for block in self.blocks:
            states.append(block(states[-1]))
        if self.normed:
            states[-1] = self.ln_post(states[-1])
        return torch.stack(states, dim=2)


class WhisperEncoder(nn.Module):
    """mel: (B, n_mels, 2 * n_ctx) float, normalised -> (B, n_ctx, n_layer + 1, n_state).

    All hidden states: the stem's with the positions added, then each block's (whisper/
    model.py:131-171). 5 of 384 numbers for `tiny`. normed: whether the last one has passed the norm
    that follows it, as in transformers' hidden states; LatentSync takes it without.
    """

    def __init__(
        self,
        *,
        n_state: int,
        n_head: int,
        n_layer: int,
        n_mels: int = N_MELS,
        n_ctx: int = N_CTX,
        normed: bool = False,
    ) -> None:
        super().__init__()
        self.mel_shape = (n_mels, FEATURE_FRAMES * n_ctx)
        self.encoder = AudioEncoder(
            n_mels=n_mels,
            n_ctx=n_ctx,
            n_state=n_state,
            n_head=n_head,
            n_layer=n_layer,
            normed=normed,
        )

    def forward(self, mel: Tensor) -> Tensor:
        if mel.dim() != 3 or mel.shape[1:] != self.mel_shape:
            wanted = ", ".join(map(str, self.mel_shape))
            raise ValueError(f"this encoder takes mel (B, {wanted}), not {tuple(mel.shape)}")
        return self.encoder(mel)


def tiny(*, normed: bool = False) -> WhisperEncoder:
    """The encoder of the published U-Nets: cross_attention_dim 384. normed: see WhisperEncoder."""
    return WhisperEncoder(n_state=384, n_head=6, n_layer=4, normed=normed)


def small(*, normed: bool = False) -> WhisperEncoder:
    """For U-Nets with cross_attention_dim 768. 13 hidden states."""
    return WhisperEncoder(n_state=768, n_head=12, n_layer=12, normed=normed)


ENCODERS = {384: tiny, 768: small}
"""A U-Net's cross_attention_dim -> its encoder."""


def sinusoids(length: int, channels: int) -> Tensor:
    """(length, channels) float32: sines, then cosines, of waves from 2 pi to 10000 * 2 pi long."""
    count = channels // 2
    step = math.log(LONGEST_WAVE) / (count - 1)
    frequencies = torch.exp(-step * torch.arange(count))
    angles = torch.arange(length)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
