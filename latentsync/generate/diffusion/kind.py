"""What is known of LatentSync before it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentsync.generate.diffusion.guidance import WHOLE
from latentsync.generate.model_spec import weights_wanted
from latentsync.generate.table import GeneratorKind, imported
from latentsync.weights.lora_about import read_about

if TYPE_CHECKING:
    from latentsync.settings.schema import Config

NAME = "latentsync"
GRAPHS = "LatentSync's U-Net"  # name of its graphs in the cache
SETTINGS = (
    *("checkpoint", "vae", "whisper", "vae_batch", "steps", "guidance", "seed", "scheduler"),
    *("step_cache", "overlap", "guidance_interval", "lora", "lora_strength"),
)


def described(config: Config) -> str:
    own = config.generate
    cache = f", DeepCache interval {own.step_cache}" if own.step_cache > 1 else ""
    steps = f"{own.steps} denoising steps ({own.scheduler}{cache})"
    low, high = own.guidance_interval
    within = "" if (low, high) == WHOLE else f" from {low:.0%} to {high:.0%} of the steps"
    guided = f"guidance scale {own.guidance:g}{within if own.guidance > 1 else ''}"
    return f"{NAME}, {steps}, {guided}{_lora(config)}"


def _lora(config: Config) -> str:
    own = config.generate
    if own.lora is None:
        return ""
    about = read_about(Path(own.lora).expanduser())
    licence = f"licence of its footage: {about.licence}"
    return f", LoRA {about.name} at strength {own.lora_strength:g} ({licence})"


def check(config: Config, *, still: bool) -> None:  # noqa: ARG001  a picture may speak
    """Raises CheckpointError for a LoRA that is missing, or none."""
    _lora(config)


KIND = GeneratorKind(
    imported("latentsync.generate.diffusion.generator:load"),
    weights=weights_wanted,
    check=check,
    described=described,
    trials=imported("latentsync.generate.diffusion.timing:trials"),
    graphs=GRAPHS,
    settings=frozenset(SETTINGS),
    title="LatentSync",
    about="a network draws the mouth, in many steps",
    shipped=("unet.yaml", "unet_256.yaml"),
)
