"""A LoRA in use: generate.lora, merged into the U-Net's weights when they are loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from latentsync.models import lora
from latentsync.weights import record
from latentsync.weights.lora_about import LoraAbout, read_about
from latentsync.weights.lora_file import load_lora
from latentsync.weights.model_file import ModelFile
from latentsync.weights.verify import origin_sha256, published_as

if TYPE_CHECKING:
    from latentsync.settings.schema import GenerateConfig

logger = logging.getLogger(__name__)

Amend = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class UsedLora:
    """strength: factor of what is added, 0 to 2. sha256: of the file. same_base: whether it was
    trained on the very weights that it is used with."""

    path: Path
    strength: float
    about: LoraAbout
    sha256: str
    same_base: bool

    @property
    def identity(self) -> str:
        """All of it that results depend on; empty: they are as without it."""
        return f"LoRA {self.sha256} {self.strength!r}" if self.strength else ""

    @property
    def label(self) -> str:
        """For sentences about what was done to a video."""
        return f"LoRA {self.about.name}"

    @property
    def facts(self) -> dict[str, Any]:
        """For the report."""
        about = self.about
        return {
            "name": about.name,
            "file": str(self.path),
            "sha256": self.sha256,
            "strength": self.strength,
            "licence": about.licence,
            "source": about.source,
            "created": about.created,
            "base": about.base,
            "base_sha256": about.base_sha256,
            "base_licence": about.base_licence,
            "same_base": self.same_base,
        }

    def amend(self, make: Callable[[], nn.Module]) -> Amend:
        """What turns the U-Net's weights into those with the LoRA, in float32.

        make: constructs the U-Net, called on `meta`. Raises CheckpointError where it does not fit.
        """
        state, about = load_lora(self.path)
        with torch.device("meta"):
            unet = make()
        named = str(self.path)
        lora.check_fits(unet, state, rank=about.rank, targets=about.targets, name=named)
        scale = self.strength * about.alpha / about.rank
        return lambda weights: lora.merged(weights, state, scale)


def used_lora(settings: GenerateConfig, base: Path) -> UsedLora | None:
    """Of generate.lora; None: none is named. base: the U-Net's weights.

    Another base is logged as a warning. Raises CheckpointError: see lora_about.read_about.
    """
    if settings.lora is None:
        return None
    path = Path(settings.lora).expanduser()
    about = read_about(path)
    same = origin_sha256(base) == about.base_sha256
    if not same:
        text = "%s was trained on %s (sha256 %.12s...), not on %s: mouths may be worse"
        logger.warning(text, path, about.base, about.base_sha256, base)
    text = "LoRA %s: %s; licence of its footage: %s; source: %s"
    logger.info(text, about.name, path, about.licence, about.source)
    return UsedLora(path, settings.lora_strength, about, record.sha256(path), same)


def merge(unet: nn.Module, path: Path, strength: float = 1.0) -> LoraAbout:
    """Adds the LoRA of a file to the weights of a U-Net without one, in place.

    The U-Net computes what inject computes with these matrices, at no cost in each step. Returns
    what the file says of itself. Raises CheckpointError: see load_lora and check_fits.
    """
    state, about = load_lora(path)
    lora.check_fits(unet, state, rank=about.rank, targets=about.targets, name=str(path))
    weights = {name: one.weight for name, one in lora.target_layers(unet, about.targets).items()}
    before = {f"{name}.weight": weight for name, weight in weights.items()}
    made = lora.merged(before, state, strength * about.alpha / about.rank)
    with torch.no_grad():
        for key, weight in before.items():
            weight.copy_(made[key])
    return about


def attach(unet: nn.Module, path: Path, strength: float = 1.0) -> LoraAbout:
    """Adds the LoRA of a file beside the weights, which stay as they are: for training and to
    validate it; each step costs more than with merge. Returns and raises as merge does."""
    state, about = load_lora(path)
    lora.check_fits(unet, state, rank=about.rank, targets=about.targets, name=str(path))
    lora.inject(unet, about.rank, about.alpha * strength, about.targets)
    lora.load_lora_state(unet, state, str(path))
    return about


def about_trained(
    base: Path,
    model: ModelFile,
    *,
    rank: int,
    alpha: float,
    targets: Sequence[str],
    name: str,
    licence: str,
    source: str,
) -> LoraAbout:
    """What the file of a LoRA says that is trained on the weights `base`, after no step."""
    published = published_as(base)
    return LoraAbout(
        base=base.name if published is None else published.key,
        base_sha256=origin_sha256(base),
        base_licence=str(model.licence),
        rank=rank,
        alpha=alpha,
        targets=tuple(targets),
        name=name,
        licence=licence,
        source=source,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
