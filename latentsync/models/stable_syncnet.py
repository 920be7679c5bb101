"""StableSyncNet: whether 16 frames of a mouth and 0.65 s of audio belong together.

Checkpoint-compatible with LatentSync's `stable_syncnet.pt` (bytedance/LatentSync at a229c39),
which serves as a loss in training. It is another network than the classic one in `syncnet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.models.attention import Attention, FeedForward
from latentsync.models.recompute import Recomputing
from latentsync.models.sync_options import RELEASED, EncoderOptions, encoder_options

FRAMES = 16
"""Frames that one embedding is made of, 25 a second."""
SIDE = 256
"""Side of an aligned face [pixels]; the network takes its lower half."""
MELS, MEL_COLUMNS = 80, 52
"""Of a window of the mel spectrogram, 80 columns a second."""
IN_SYNC = 0.5
"""Cosine above which lips and audio are taken to be in sync."""
_GROUPS, _HEADS = 32, 8
_EPSILON = 1e-6  # of the group norms


class StableSyncNet(nn.Module):
    """frames: (B, 48, 128, 256) float RGB [-1, 1], mel: (B, 1, 80, 52) -> (B, D), (B, D).

    frames: the lower halves of 16 aligned faces, their channels frame by frame, see `stacked`. mel:
    see speech.mel. Embeddings have no negative part and length 1, so that their cosine lies in
    [0, 1]. D is 2048. config: `model` of one of LatentSync's configs/syncnet; of another one than
    the released, the shapes may differ. Raises ConfigError.
    """

    def __init__(self, config: Mapping[str, Any] = RELEASED) -> None:
        super().__init__()
        self.audio_encoder = _Encoder(encoder_options(config, "audio_encoder"))
        self.visual_encoder = _Encoder(encoder_options(config, "visual_encoder"))

    def forward(self, frames: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        return self.visual_encoder(frames), self.audio_encoder(mel)


def stacked(faces: Tensor) -> Tensor:
    """(B, 16, 3, 256, 256) float RGB [-1, 1] -> (B, 48, 128, 256): what the network takes."""
    return rearrange(faces[..., faces.shape[-2] // 2 :, :], "b f c h w -> b (f c) h w")


def agreement(vision: Tensor, audio: Tensor) -> Tensor:
    """(B, D) twice -> (B,) float32, the cosine; [0, 1] but for rounding."""
    return F.cosine_similarity(vision.float(), audio.float(), dim=1)


def sync_losses(vision: Tensor, audio: Tensor, in_sync: Tensor) -> Tensor:
    """(B, D) twice, in_sync: (B,) float, 1 or 0 -> (B,) float32: cross entropy of the cosine.

    0 where the cosine is as labelled; 100 at most. Where it is not a number the loss is none
    either; torch's own function ends the process for it on a GPU.
    """
    cosine = agreement(vision, audio)
    known = cosine.nan_to_num(0.5).clamp(0, 1)
    losses = F.binary_cross_entropy(known, in_sync.float(), reduction="none")
    return torch.where(cosine.isnan(), cosine, losses)


class _Encoder(Recomputing):
    """(B, c, h, w) -> (B, D): no negative part, length 1 (0 where all is 0)."""

    def __init__(self, options: EncoderOptions) -> None:
        super().__init__()
        before = options.channels[0]
        self.conv_in = nn.Conv2d(options.in_channels, before, 3, padding=1)
        self.down_blocks = nn.ModuleList()
        for channels, factor, attends in options.stages():
            self.down_blocks.append(_ResBlock(before, channels, factor, options.dropout))
            if attends:
                self.down_blocks.append(_AttentionBlock(channels))
            before = channels
        self.norm_out = nn.GroupNorm(_GROUPS, before, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = self._run(block, x)
        flat = F.relu(self.norm_out(x)).flatten(1)
        # In float32: the smallest divisor of F.normalize is 0 in half precision.
        return F.normalize(flat.float()).to(x.dtype)


class _ResBlock(nn.Module):
    """(B, c_in, h, w) -> (B, c_out, h / factor, w / factor), odd sizes rounded up or down."""

    def __init__(
        self, c_in: int, c_out: int, factor: tuple[int, int], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_GROUPS, c_in, _EPSILON)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(_GROUPS, c_out, _EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        self.downsample_conv = None
        if factor != (1, 1):
            self.downsample_conv = nn.Conv2d(c_out, c_out, 3, stride=factor)
        # On the left and top only along an axis that keeps its size.
        self.padding = (int(factor[1] == 1), 1, int(factor[0] == 1), 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        h = h + self.conv_shortcut(x)
        return h if self.downsample_conv is None else self.downsample_conv(F.pad(h, self.padding))


class _AttentionBlock(nn.Module):
    """(B, c, h, w) -> the same: self-attention of the places, and a feed-forward network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_GROUPS, channels, _EPSILON)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)
        self.conv_in = nn.Conv2d(channels, channels, 1)
        self.conv_out = nn.Conv2d(channels, channels, 1)
        self.attn = Attention(channels, _HEADS, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        tokens = rearrange(self.conv_in(self.norm1(x)), "b c h w -> b (h w) c")
        tokens = tokens + self.attn(self.norm2(tokens))
        tokens = tokens + self.ff(self.norm3(tokens))
        places = rearrange(tokens, "b (h w) c -> b c h w", h=height, w=width)
        return x + self.conv_out(places)
