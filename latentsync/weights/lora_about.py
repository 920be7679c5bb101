"""What the file of a LoRA says of itself, read without torch.

The metadata of a safetensors file, all text:

    format               pt, as safetensors files of PyTorch have it
    kind                 latentsync lora
    version              1
    base, base_sha256    name and hash of the U-Net's weights that it was trained on
    base_licence         of those weights: it applies to what is trained on them, too
    rank, alpha, targets see models.lora.inject; targets separated by blanks
    name, licence, source  of the footage, in the words of whoever trained it
    created, steps       when, and after how many steps
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from latentsync.errors import CheckpointError
from latentsync.weights.safetensors_header import metadata, read_header

KIND, VERSION = "latentsync lora", 1
LONGEST_TEXT = 200  # characters of name, licence and source
LARGEST_RANK = 10_000
_OTHERS = ("lora_down", "lora_up", "lora_A", "lora_B", "lora.down", "lora.up")
"""Parts of the keys in LoRA files of other programs."""


@dataclass(frozen=True, slots=True)
class LoraAbout:
    """See the module's docstring. created: ISO 8601."""

    base: str
    base_sha256: str
    base_licence: str
    rank: int
    alpha: float
    targets: tuple[str, ...]
    name: str
    licence: str
    source: str
    created: str
    steps: int = 0

    def metadata(self) -> dict[str, str]:
        return {
            "format": "pt",
            "kind": KIND,
            "version": str(VERSION),
            "base": self.base,
            "base_sha256": self.base_sha256,
            "base_licence": self.base_licence,
            "rank": str(self.rank),
            "alpha": repr(self.alpha),
            "targets": " ".join(self.targets),
            "name": self.name,
            "licence": self.licence,
            "source": self.source,
            "created": self.created,
            "steps": str(self.steps),
        }


def read_about(path: Path) -> LoraAbout:
    """Raises CheckpointError in one line: no such file, or not a LoRA that can be used."""
    try:
        header = read_header(path)
    except OSError as error:
        remedy = "name the file that training wrote"
        cause = error.strerror or str(error)
        raise CheckpointError(f"LoRA cannot be read ({cause})", path, remedy) from None
    found = metadata(header)
    if header is None or found.get("kind") != KIND:
        what = "a LoRA of another program" if _is_other(header) else "not a LoRA"
        remedy = "use one that scripts.train_unet wrote with configs/training/person.yaml"
        raise CheckpointError(what, path, remedy)
    if found.get("version") != str(VERSION):
        remedy = f"this program reads version {VERSION}; update it, or train again"
        raise CheckpointError("LoRA of another version", f"{path} ({found.get('version')})", remedy)
    return _about(found, path)


def _about(found: Mapping[str, str], path: Path) -> LoraAbout:
    try:
        about = LoraAbout(
            **{key: _text(found[key]) for key in ("base", "base_sha256", "base_licence")},
            rank=int(found["rank"]),
            alpha=float(found["alpha"]),
            targets=tuple(found["targets"].split()),
            **{key: _text(found[key]) for key in ("name", "licence", "source", "created")},
            steps=int(found.get("steps", "0")),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, str(error)) from None
    if not (0 < about.rank <= LARGEST_RANK and 0 < about.alpha < float("inf") and about.targets):
        raise _damaged(path, f"rank {about.rank}, alpha {about.alpha}")
    return about


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError("damaged LoRA", f"{path} ({reason})", "copy it again, or train again")


def _text(value: str) -> str:
    """One line, as it goes into reports and marks of videos."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:LONGEST_TEXT]


def _is_other(header: Mapping[str, object] | None) -> bool:
    return any(part in key for key in header or () for part in _OTHERS)
