"""The file of a LoRA: safetensors, with the keys of models.lora."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.places import part_file
from latentsync.weights.lora_about import LoraAbout, read_about


def save_lora(path: Path, state: Mapping[str, Tensor], about: LoraAbout) -> None:
    """Writes matrices and metadata; the file appears when it is complete.

    state: of models.lora.lora_state. Raises CheckpointError: NaN or infinity in the matrices, or
    not writable.
    """
    if not state:
        raise ValueError("a LoRA without matrices")
    _check_finite(state, path, "training collapsed; use an earlier checkpoint")
    kept = {
        key: value.detach().to("cpu", torch.float32).contiguous() for key, value in state.items()
    }
    try:
        with part_file(path) as part:
            save_file(kept, part, metadata=about.metadata())
    except (OSError, SafetensorError) as error:
        remedy = "free some space, or make the folder writable"
        raise CheckpointError("cannot write the LoRA", f"{path} ({error})", remedy) from None


def load_lora(path: Path) -> tuple[dict[str, Tensor], LoraAbout]:
    """-> key -> float32 on the CPU, and what the file says of itself.

    Raises CheckpointError: see lora_about.read_about, and NaN or infinity in it. Whether it fits a
    U-Net is checked by models.lora.check_fits.
    """
    about = read_about(path)
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        remedy = "copy it again, or train again"
        raise CheckpointError("damaged LoRA", f"{path} ({reason})", remedy) from None
    _check_finite(state, path, "use one of an earlier checkpoint")
    return {key: value.float() for key, value in state.items()}, about


def _check_finite(state: Mapping[str, Tensor], path: Path, remedy: str) -> None:
    for key, value in state.items():
        if not value.isfinite().all():
            raise CheckpointError("NaN or infinity in the LoRA", f"{path}: {key}", remedy)
