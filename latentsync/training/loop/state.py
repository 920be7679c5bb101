"""What a training needs beside weights to go on as if it had not stopped."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

if TYPE_CHECKING:
    from accelerate import Accelerator

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""By parameters' names, whatever the processes hold of them."""
ON_DEVICE = StateDictOptions(full_state_dict=True)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Key -> tensor on the CPU, without a wrapper's prefix; whole on the first process. All
    processes call it."""
    state: dict[str, Any] = get_model_state_dict(model, options=WHOLE)
    return {key: value.detach().contiguous() for key, value in state.items()}


def trained_of(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that train, of all of them. model: without a wrapper."""
    names = {name for name, value in model.named_parameters() if value.requires_grad}
    return {key: value for key, value in state.items() if key in names}


def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, trained_only: bool) -> None:
    """state: of weights_of, or of trained_of: the others stay as they are. Raises RuntimeError for
    a key that is missing or unexpected."""
    own = model.state_dict() if trained_only else {}
    kept = {key: value for key, value in own.items() if key not in trained_of(model, own)}
    model.load_state_dict(kept | dict(state))


def optimizer_state(model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """By names of parameters, on the CPU; whole on the first process. All processes call it."""
    return dict(get_optimizer_state_dict(model, optimizer, options=WHOLE))


def restore_optimizer(model: nn.Module, optimizer: Optimizer, state: dict[str, Any]) -> None:
    """state: see optimizer_state; each process has all of it."""
    set_optimizer_state_dict(model, optimizer, state, options=ON_DEVICE)


def seed_random(seed: int) -> None:
    """All generators of this process."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """Of all generators of this process, as plain values."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    version, numbers, gauss = random.getstate()
    cuda = torch.cuda.get_rng_state().tolist() if torch.cuda.is_available() else None
    return {
        "torch": torch.get_rng_state().tolist(),
        "cuda": cuda,
        "numpy": [str(kind), np.asarray(keys).tolist(), *rest],
        "python": [version, list(numbers), gauss],
    }


def restore_random(state: dict[str, Any]) -> None:
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.tensor(state["cuda"], dtype=torch.uint8))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))


def scaler_state(accelerator: Accelerator) -> dict[str, Any] | None:
    """None: nothing is scaled."""
    scaler = accelerator.scaler
    return None if scaler is None else dict(scaler.state_dict())


def restore_scaler(accelerator: Accelerator, state: dict[str, Any] | None) -> None:
    """state None: of another precision, the scaler starts anew."""
    if accelerator.scaler is not None and state is not None:
        accelerator.scaler.load_state_dict(state)
