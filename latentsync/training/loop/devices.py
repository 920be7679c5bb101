"""Where a training runs: accelerate, and what processes tell each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from latentsync.errors import ConfigError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from latentsync.training.loop.settings import LoopSettings

FIRST_WITH_BF16 = 8  # compute capability
LONGEST_WAIT = timedelta(days=7)
"""... of other processes for the first one, which validates."""
B = TypeVar("B")


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether each process has a part of the network only."""
    return bool(accelerator.distributed_type == "FSDP")


def process_count() -> int:
    """As torchrun and accelerate's launcher say it to each process; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def require_device(name: str) -> None:
    """name: auto, cpu or cuda. Raises ConfigError: there is no such device."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("training.device", name, "there is no CUDA GPU here: set auto or cpu")


def make_accelerator(settings: LoopSettings) -> Accelerator:
    """accelerate, as its launcher set it up, or one process. Raises ConfigError: not installed, or
    a precision that the device has not."""
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        remedy = "install it: pip install '.[training]'"
        raise ConfigError("training needs accelerate", "not installed", remedy) from error
    cpu = settings.cpu or not torch.cuda.is_available()
    precision = chosen_precision(settings.precision, cpu=cpu)
    return Accelerator(
        cpu=cpu,
        mixed_precision="no" if precision == "fp32" else precision,
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )


def chosen_precision(wanted: str, *, cpu: bool) -> str:
    """-> fp32 | bf16 | fp16. Raises ConfigError."""
    if cpu:
        if wanted == "fp16":
            raise ConfigError("precision", wanted, "a CPU has no fp16 here: use auto, fp32 or bf16")
        return "fp32" if wanted == "auto" else wanted
    new = torch.cuda.get_device_capability()[0] >= FIRST_WITH_BF16
    if wanted == "bf16" and not new:
        raise ConfigError("precision", wanted, "this GPU has no bf16: use fp16")
    return ("bf16" if new else "fp16") if wanted == "auto" else wanted


def on_device(batch: B, device: torch.device) -> B:
    """The dataclass with its tensors on the device."""
    if not is_dataclass(batch) or isinstance(batch, type):
        raise TypeError(f"a batch is a dataclass, not {type(batch).__name__}")
    found = {one.name: getattr(batch, one.name) for one in fields(batch)}
    moved = {name: one.to(device) for name, one in found.items() if isinstance(one, Tensor)}
    return replace(batch, **moved)


class Across:
    """What processes tell each other; alone it is free."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.device, self.several = accelerator.device, accelerator.num_processes > 1
        # Waits without a GPU's watchdog, whose patience ends after ten minutes.
        self._patient = (
            dist.new_group(backend="gloo", timeout=LONGEST_WAIT) if self.several else None
        )

    def largest(self, values: Sequence[float | Tensor]) -> list[float]:
        """By place the largest of all processes."""
        at_once = torch.stack(
            [torch.as_tensor(v, dtype=torch.float32, device=self.device) for v in values]
        )
        if self.several:
            dist.all_reduce(at_once, op=dist.ReduceOp.MAX)
        return at_once.tolist()

    def all(self, value: Any) -> list[Any]:
        """The value of each process, in order."""
        if not self.several:
            return [value]
        found: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(found, value, group=self._patient)
        return found

    def wait(self) -> None:
        """... for all processes, however long one of them takes."""
        if self.several:
            dist.barrier(group=self._patient)
