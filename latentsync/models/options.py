"""Checks the settings of LatentSync's `model` section against what this U-Net supports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from latentsync.errors import ConfigError

WITH_AUDIO = ("CrossAttnDownBlock3D", "CrossAttnUpBlock3D")
WITHOUT_AUDIO = ("DownBlock3D", "UpBlock3D")

FIXED: dict[str, Any] = {
    "act_fn": "silu",
    "add_audio_layer": True,
    "center_input_sample": False,
    "class_embed_type": None,
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "motion_module_type": "Vanilla",
    "num_class_embeds": None,
    "only_cross_attention": False,
    "resnet_time_scale_shift": "default",
    "upcast_attention": False,
    "use_inflated_groupnorm": False,
    "use_linear_projection": False,
}
"""Settings with the same value in every published configuration, the only supported one."""
IGNORED = ("sample_size",)
"""Without effect: the network takes latents of any size."""

MOTION_FIXED: dict[str, Any] = {
    "attention_block_types": ("Temporal_Self", "Temporal_Self"),
    "num_transformer_block": 1,
    "temporal_attention_dim_div": 1,
    "temporal_position_encoding": True,
}
MOTION_NAMES = {
    "num_attention_heads": "heads",
    "temporal_position_encoding_max_len": "max_frames",
    "zero_initialize": "zero_initialize",
}
"""Upstream's name -> that of MotionModule."""


def check_fixed(settings: Mapping[str, Any]) -> None:
    """Raises ConfigError for a setting that is unknown or not supported."""
    for name, value in settings.items():
        if name not in IGNORED:
            _check(f"model.{name}", value, FIXED.get(name, _UNKNOWN))


def motion_arguments(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """`motion_module_kwargs` -> the arguments of MotionModule. Raises ConfigError as above."""
    settings = settings or {}
    for name, value in settings.items():
        if name not in MOTION_NAMES:
            key = f"model.motion_module_kwargs.{name}"
            _check(key, value, MOTION_FIXED.get(name, _UNKNOWN))
    return {MOTION_NAMES[name]: value for name, value in settings.items() if name in MOTION_NAMES}


def has_audio_attention(block_types: Sequence[str], stages: int) -> list[bool]:
    """Whether each stage attends to the audio, by upstream's class names. Raises ConfigError."""
    if len(block_types) != stages:
        remedy = f"name {stages}, one for each of block_out_channels"
        raise ConfigError("model: types of blocks", ", ".join(block_types), remedy)
    for name in block_types:
        if name not in WITH_AUDIO + WITHOUT_AUDIO:
            known = ", ".join(WITH_AUDIO + WITHOUT_AUDIO)
            raise ConfigError("model: unknown type of block", name, f"use one of {known}")
    return [name in WITH_AUDIO for name in block_types]


_UNKNOWN = object()


def _check(key: str, value: Any, supported: Any) -> None:
    if supported is _UNKNOWN:
        raise ConfigError("unknown key", key, "the U-Net has no such setting; check its spelling")
    plain = tuple(value) if isinstance(supported, tuple) else value
    if plain != supported:
        raise ConfigError(key, value, f"only {supported} is supported")
