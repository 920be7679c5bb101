"""The settings of StableSyncNet: LatentSync's configs/syncnet, and what they may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentsync.errors import ConfigError

_AUDIO = {
    "in_channels": 1,
    "block_out_channels": [32, 64, 128, 256, 512, 1024, 2048],
    "downsample_factors": [[2, 1], 2, 2, 1, 2, 2, [2, 3]],
}
_VISUAL = {
    "in_channels": 48,
    "block_out_channels": [64, 128, 256, 256, 512, 1024, 2048, 2048],
    "downsample_factors": [[1, 2], 2, 2, 2, 2, 2, 2, 2],
}
PIXEL: Mapping[str, Any] = {"audio_encoder": _AUDIO, "visual_encoder": _VISUAL}
"""syncnet_16_pixel: 16 frames, without attention."""
RELEASED: Mapping[str, Any] = {
    "audio_encoder": {**_AUDIO, "attn_blocks": [0, 0, 0, 1, 1, 0, 0]},
    "visual_encoder": {**_VISUAL, "attn_blocks": [0, 0, 0, 0, 1, 1, 0, 0]},
}
"""syncnet_16_pixel_attn, the published network."""
LATENT: Mapping[str, Any] = {
    "audio_encoder": {
        "in_channels": 1,
        "block_out_channels": [32, 64, 128, 256, 512, 1024],
        "downsample_factors": [[2, 1], 2, 2, 2, 2, [2, 3]],
    },
    "visual_encoder": {
        "in_channels": 64,
        "block_out_channels": [64, 128, 256, 256, 512, 1024],
        "downsample_factors": [2, 2, 2, 1, 2, 2],
    },
}
"""syncnet_16_latent: frames: (B, 64, 32, 32), 16 latents of the VAE; D is 1024."""

_MULTIPLE = 32  # of all channels: the groups of a norm


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """channels, factors, attention: of each stage; factors: by how much height, width shrink."""

    in_channels: int
    channels: tuple[int, ...]
    factors: tuple[tuple[int, int], ...]
    attention: tuple[bool, ...]
    dropout: float = 0.0

    def stages(self) -> Iterator[tuple[int, tuple[int, int], bool]]:
        return zip(self.channels, self.factors, self.attention, strict=True)


def encoder_options(config: Mapping[str, Any], name: str) -> EncoderOptions:
    """name: audio_encoder or visual_encoder, a section of `config`.

    Without `attn_blocks` there is no attention. Raises ConfigError.
    """
    section = config.get(name)
    if not isinstance(section, Mapping):
        raise ConfigError(f"model.{name}", section, "a section with in_channels is needed")
    needed = ("in_channels", "block_out_channels", "downsample_factors")
    for key in needed:
        if key not in section:
            raise ConfigError(f"model.{name}.{key}", "missing", f"{', '.join(needed)} are needed")
    channels = tuple(section["block_out_channels"])
    if not channels or any(width % _MULTIPLE for width in channels):
        remedy = f"use multiples of {_MULTIPLE}"
        raise ConfigError(f"model.{name}.block_out_channels", list(channels), remedy)
    factors = tuple(_factor(one, name) for one in section["downsample_factors"])
    attention = tuple(bool(one) for one in section.get("attn_blocks") or [0] * len(channels))
    for key, values in (("downsample_factors", factors), ("attn_blocks", attention)):
        if len(values) != len(channels):
            remedy = f"give {len(channels)}, one for each of block_out_channels"
            raise ConfigError(f"model.{name}.{key}", f"{len(values)} values", remedy)
    dropout = float(section.get("dropout") or 0.0)
    return EncoderOptions(int(section["in_channels"]), channels, factors, attention, dropout)


def _factor(value: Any, name: str) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or any(not isinstance(one, int) or one < 1 for one in pair):
        remedy = "use a whole number, or two: of height and width"
        raise ConfigError(f"model.{name}.downsample_factors", value, remedy)
    return pair
