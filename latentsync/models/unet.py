"""The LatentSync U-Net, key-compatible with published weights (1.5 and 1.6).

Stable Diffusion 1.5's topology with 13 input channels, audio in place of text, and attention over
time (arXiv 2412.09262).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.models.attention import SpatialTransformer
from latentsync.models.blocks import Conditions, UpBlock
from latentsync.models.motion_module import MotionModule
from latentsync.models.options import check_fixed, has_audio_attention, motion_arguments
from latentsync.models.resnet import FramesGroupNorm, ResBlock
from latentsync.models.topology import LayerMaker, middle, way_down, way_up

PERIOD = 10_000.0  # of the slowest wave in the time embedding, in time steps / (2 pi)
WIDTHS = (320, 640, 1280, 1280)  # channels at each resolution, of all published weights


class TimeEmbedding(nn.Module):
    """waves: (b, channels), see time_waves -> (b, c_out), in the weights' dtype."""

    def __init__(self, channels: int, c_out: int) -> None:
        super().__init__()
        self.channels = channels
        self.linear_1 = nn.Linear(channels, c_out)
        self.linear_2 = nn.Linear(c_out, c_out)

    def forward(self, waves: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(waves.to(self.linear_1.weight))))


def time_waves(timesteps: Tensor, channels: int) -> Tensor:
    """timesteps: (b,) -> (b, channels) float32: cosines, then sines, of falling frequency.

    Separate from the layers that follow: in 16 bits the phase of a time step near 1000 would be
    wrong.
    """
    count = channels // 2
    wave = torch.arange(count, device=timesteps.device, dtype=torch.float32)
    frequency = torch.exp(wave * (-math.log(PERIOD) / count))
    angle = timesteps.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


class UNet3DConditionModel(nn.Module):
    """Predicts the noise in the latents of a chunk of frames.

    Takes the `model` section of LatentSync's configuration, key for key; the defaults are those of
    stage2 and stage2_512. Raises ConfigError for a setting of another network.
    """

    def __init__(
        self,
        *,
        in_channels: int = 13,
        out_channels: int = 4,
        block_out_channels: Sequence[int] = WIDTHS,
        down_block_types: Sequence[str] = ("CrossAttnDownBlock3D",) * 3 + ("DownBlock3D",),
        up_block_types: Sequence[str] = ("UpBlock3D",) + ("CrossAttnUpBlock3D",) * 3,
        layers_per_block: int = 2,
        attention_head_dim: int = 8,  # means the number of heads
        cross_attention_dim: int = 384,
        norm_num_groups: int = 32,
        norm_eps: float | str = 1e-5,  # YAML 1.1 reads 1e-5 as text
        use_motion_module: bool = True,
        motion_module_resolutions: Sequence[int] = (1, 2, 4, 8),
        motion_module_decoder_only: bool = False,
        motion_module_mid_block: bool = False,
        motion_module_kwargs: Mapping[str, Any] | None = None,
        **fixed: Any,
    ) -> None:
        super().__init__()
        check_fixed(fixed)
        widths = tuple(block_out_channels)
        embedding, eps = 4 * widths[0], float(norm_eps)
        make = LayerMaker(
            partial(ResBlock, embedding=embedding, groups=norm_num_groups, eps=eps),
            partial(
                SpatialTransformer,
                heads=attention_head_dim,
                audio=cross_attention_dim,
                groups=norm_num_groups,
            ),
            partial(MotionModule, **motion_arguments(motion_module_kwargs)),
        )
        moves = [
            use_motion_module and 2**level in motion_module_resolutions
            for level in range(len(widths))
        ]
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(widths[0], embedding)
        self.down_blocks = way_down(
            make,
            widths,
            layers=layers_per_block,
            audio=has_audio_attention(down_block_types, len(widths)),
            motion=[move and not motion_module_decoder_only for move in moves],
        )
        self.up_blocks = way_up(
            make,
            widths,
            layers=layers_per_block + 1,
            audio=has_audio_attention(up_block_types, len(widths))[::-1],
            motion=moves,
        )
        mid_motion = use_motion_module and motion_module_mid_block
        self.mid_block = middle(make, widths[-1], motion=mid_motion)
        self.conv_norm_out = FramesGroupNorm(norm_num_groups, widths[0], eps)
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)

    def forward(
        self, sample: Tensor, timestep: Tensor | float, encoder_hidden_states: Tensor
    ) -> Tensor:
        """sample: (B, 13, F, h, w): noisy latents 4, mask 1 (1 = keep), masked latents 4,
        reference latents 4. timestep: one for all, or (B,). encoder_hidden_states: (B * F, s, c),
        the audio of every frame, batch first. -> (B, 4, F, h, w), the noise in the latents.

        All in the weights' dtype. F: at most 24 with attention over time. h and w need not be
        multiples of 8.
        """
        return self.step(sample, timestep, encoder_hidden_states)[0]

    def step(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        *,
        cached: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """-> the result of forward, and the deep features (B * F, c, h, w), the last layer's input.

        cached: the deep features of an earlier step of the same chunk. With them, only conv_in and
        the last layer run, 7 % of the work at 512: deep features change slowly between steps
        (DeepCache, arXiv 2312.00858; upstream uses its branch 0).
        """
        batch, _ = self._check(sample, encoder_hidden_states)
        waves = time_waves(_each(timestep, batch, sample.device), self.time_embedding.channels)
        entry, conditions = self._entered(sample, waves, encoder_hidden_states)
        deep = self._deep(entry, conditions) if cached is None else cached
        return self._last(deep, entry, conditions), deep

    def deep(self, sample: Tensor, waves: Tensor, audio: Tensor) -> Tensor:
        """All but the last layer. sample, audio: as in forward. waves: (B, c), see time_waves ->
        (B * F, c, h, w)."""
        return self._deep(*self._entered(sample, waves, audio))

    def last(self, sample: Tensor, deep: Tensor, waves: Tensor, audio: Tensor) -> Tensor:
        """The last layer. deep: the result of deep(), of this step or an earlier one -> noise."""
        return self._last(deep, *self._entered(sample, waves, audio))

    def _entered(self, sample: Tensor, waves: Tensor, audio: Tensor) -> tuple[Tensor, Conditions]:
        _, frames = self._check(sample, audio)
        entry = self.conv_in(rearrange(sample, "b c f h w -> (b f) c h w"))
        return entry, Conditions(self.time_embedding(waves), audio, frames)

    def _deep(self, entry: Tensor, conditions: Conditions) -> Tensor:
        skips = [entry]
        for block in self.down_blocks:
            skips += block(skips[-1], conditions)
        x = self.mid_block(skips[-1], conditions)
        for block in self._ups:
            count = min(len(block.resnets), len(skips) - 1)
            x = block(x, [skips.pop() for _ in range(count)], conditions)
            x = block.grow(x, skips[-1].shape[-2:])
        return x

    def _last(self, deep: Tensor, entry: Tensor, conditions: Conditions) -> Tensor:
        """The last layer: its inputs are the deep features and, as its skip, the entry."""
        last, frames = self._ups[-1], conditions.frames
        x = last(deep, [entry], conditions, first=len(last.resnets) - 1)
        x = self.conv_out(F.silu(self.conv_norm_out(x, frames)))
        return rearrange(x, "(b f) c h w -> b c f h w", f=frames)

    @property
    def _ups(self) -> list[UpBlock]:
        return cast("list[UpBlock]", list(self.up_blocks))

    def _check(self, sample: Tensor, audio: Tensor) -> tuple[int, int]:
        """-> B, F. Raises ValueError; without it one row of audio would be broadcast silently."""
        channels = self.conv_in.in_channels
        if sample.dim() != 5 or sample.shape[1] != channels:
            raise ValueError(
                f"the U-Net takes latents (B, {channels}, F, h, w), not {tuple(sample.shape)}"
            )
        batch, _, frames = sample.shape[:3]
        if audio.dim() != 3 or audio.shape[0] != batch * frames:
            raise ValueError(
                f"the U-Net takes audio (B * F = {batch * frames}, s, c), not {tuple(audio.shape)}"
            )
        return batch, frames


def _each(timestep: Tensor | float, batch: int, device: torch.device) -> Tensor:
    """(batch,), on the device."""
    if not isinstance(timestep, Tensor):
        timestep = torch.tensor(timestep)
    return timestep.to(device).expand(batch)
