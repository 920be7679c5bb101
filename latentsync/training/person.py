"""Fine-tuning to one person: a LoRA in place of all weights, and what its file says of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor, nn

from latentsync.errors import ConfigError
from latentsync.generate.diffusion.lora import about_trained
from latentsync.models.lora import TARGETS, inject
from latentsync.training.settings.schema import Lora
from latentsync.weights.lora_about import LONGEST_TEXT
from latentsync.weights.lora_file import save_lora
from latentsync.weights.model_file import ModelFile

LARGEST_RANK = 320  # the narrowest layers of the published U-Nets: above it nothing is low-rank
SECONDS = 60.0  # in a minute
FILE = "lora.safetensors"  # in a checkpoint

Write = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The section `lora` of a training configuration; see configs/training/person.yaml.

    rank, alpha, targets: of models.lora.inject. name, licence, source: of the footage, in the
    user's words; they are written into the file. least_minutes: of usable footage, below which
    training does not begin.
    """

    rank: int = 16
    alpha: float = 16.0
    targets: tuple[str, ...] = TARGETS
    name: str = ""
    licence: str = ""
    source: str = ""
    least_minutes: float = 2.0

    def check(self) -> None:
        """Raises ConfigError for values that are missing or not possible."""
        if not 1 <= self.rank <= LARGEST_RANK:
            raise ConfigError("lora.rank", self.rank, f"use a number from 1 to {LARGEST_RANK}")
        if not 0 < self.alpha <= 100 * self.rank:
            remedy = "use a number above 0, such as lora.rank"
            raise ConfigError("lora.alpha", self.alpha, remedy)
        if not self.targets:
            remedy = f"name parts of layers' names, such as {', '.join(TARGETS)}"
            raise ConfigError("lora.targets", "none", remedy)
        for key in ("name", "licence", "source"):
            _check_text(f"lora.{key}", getattr(self, key))
        if not self.least_minutes >= 0:
            raise ConfigError("lora.least_minutes", self.least_minutes, "use a number from 0 on")

    def check_footage(self, seconds: float) -> None:
        """seconds: of usable footage. Raises ConfigError where it is too little."""
        minutes = seconds / SECONDS
        if minutes < self.least_minutes:
            least = f"{self.least_minutes:g} minutes are asked for"
            remedy = f"{least} (lora.least_minutes); record more, or lower that"
            raise ConfigError("the footage is short", f"{minutes:.1f} minutes", remedy)


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """A U-Net that trains a LoRA only. parameters: what trains; all others are frozen."""

    unet: nn.Module
    settings: LoraSettings
    parameters: list[nn.Parameter]

    def packer(self, base: Path, model: ModelFile) -> Callable[[Mapping[str, Tensor], int], Write]:
        """Weights that train, or averages of them, and step -> what writes the file that
        generate.lora takes. base: the U-Net's weights; model: the published file that they are, or
        are trained from. Writing raises CheckpointError: NaN or infinity, or not writable."""
        own = self.settings
        about = about_trained(
            base,
            model,
            rank=own.rank,
            alpha=own.alpha,
            targets=own.targets,
            name=own.name,
            licence=own.licence,
            source=own.source,
        )

        def pack(state: Mapping[str, Tensor], step: int) -> Write:
            now = replace(
                about, steps=step, created=datetime.now(UTC).isoformat(timespec="seconds")
            )
            return lambda path: save_lora(path, state, now)

        return pack


def lora_settings(lora: Lora) -> LoraSettings | None:
    """None: the weights themselves are trained. Raises ConfigError."""
    if not lora.rank:
        return None
    made = LoraSettings(
        rank=lora.rank,
        alpha=lora.alpha or float(lora.rank),
        targets=lora.targets or TARGETS,
        name=lora.name,
        licence=lora.licence,
        source=lora.source,
        least_minutes=lora.least_minutes,
    )
    made.check()
    return made


def adapt(unet: nn.Module, settings: LoraSettings, *, seed: int) -> Adapted:
    """Turns a U-Net into one that trains a LoRA, in place. Its output stays the same at first.

    Raises ConfigError.
    """
    settings.check()
    parameters = inject(unet, settings.rank, settings.alpha, settings.targets, seed=seed)
    return Adapted(unet, settings, parameters)


def _check_text(key: str, text: str) -> None:
    if not text.strip():
        remedy = "say whose footage it is, and what may be done with it; the file keeps it"
        raise ConfigError(key, "not given", remedy)
    if len(text) > LONGEST_TEXT or not text.isprintable():
        shown = f"{text[:40]!r} ({len(text)} characters)"
        raise ConfigError(key, shown, f"use one line of at most {LONGEST_TEXT} characters")
