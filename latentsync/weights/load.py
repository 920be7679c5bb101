"""Loads a weights file into a module: without running code, strictly."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from latentsync.errors import CheckpointError
from latentsync.weights import licences
from latentsync.weights.identify import identify_checkpoint
from latentsync.weights.model_file import ModelFile

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=nn.Module)

WRAPPERS = (
    "params_ema",
    "params",
    "model_state_dict",
    "state_dict",
    "model",
    "module",
)  # averaged weights (EMA) first: they are the published ones
PARALLEL_PREFIX = "module."  # left by training on several GPUs
UNUSED = "num_batches_tracked"
"""End of the keys that only training reads; files of old PyTorch versions have none of them."""
NAMED_AT_MOST = 3  # keys in an error message


def build(
    make: Callable[[], M],
    model: ModelFile,
    path: Path,
    device: torch.device,
    *,
    part: str = "",
    dtype: torch.dtype = torch.float32,
    rename: Callable[[str], str] = str,
    amend: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None,
    logged: bool = False,
) -> M:
    """The network with the weights of the file, on the device, in eval mode.

    make: constructs the network. path: of weights.find. part: prefix of the wanted keys; others
    belong to another network in the same file. dtype: of its weights. rename: the file's keys ->
    the network's. amend: changes them before they are converted to the dtype; same keys and shapes.
    logged: log_weights_used() was called. Raises CheckpointError, and ConfigError
    where the licence has not been accepted.
    """
    licences.require([model.licence])
    with torch.device("meta"), _NoInitialisation():
        network = make()
    network = nn.Module.to(network, dtype)  # diffusers' own emits needless warnings
    optional = _optional(network.state_dict())
    whole = read_state_dict(path)
    read = {rename(key): value for key, value in whole.items() if key.startswith(part)}
    try:
        load_strictly(network, optional | (read if amend is None else amend(read)), path)
    except CheckpointError as error:
        raise _wrong_model(error, whole, model, path) from None
    if not logged:
        log_weights_used(model, path)
    return network.eval().requires_grad_(False).to(device)


def _optional(wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a file may leave out: what is computed by a formula, hence not on meta, or not used."""
    return {
        key: torch.zeros(value.shape) if value.is_meta else value
        for key, value in wanted.items()
        if not value.is_meta or key.endswith(UNUSED)
    }


def log_weights_used(model: ModelFile, path: Path) -> None:
    """Logs which weights are used, and their licence.

    Raises ConfigError where the licence has not been accepted.
    """
    licences.require([model.licence])
    level = logging.WARNING if model.licence.ask_as else logging.INFO
    logger.log(level, "%s: %s; licence of these weights: %s", model.key, path, model.licence)


def _wrong_model(
    error: CheckpointError, state: Mapping[str, Tensor], model: ModelFile, path: Path
) -> CheckpointError:
    """Adds to the error which model the file holds, where that is known."""
    known = identify_checkpoint(state)
    if known is None:
        return error
    complaints = str(error.value).removeprefix(f"{path}: ")
    value = f"{path} holds {known}, {model.key} is wanted"
    return CheckpointError(error.what, value, f"name another file ({complaints})")


class _NoInitialisation(TorchFunctionMode):
    """Skips the initialisation of weights, which takes a second; they are replaced anyway."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Key -> tensor on the CPU, memory-mapped where the format allows: PyTorch's or .safetensors.

    Reads the dict under one of WRAPPERS, or the bare dict, with or without a `module.` prefix.
    Raises CheckpointError for a file that is missing, damaged, holds code, or no tensors.
    """
    try:
        content = _read(path)
    except OSError as error:
        raise CheckpointError(
            "weights cannot be read", path, error.strerror or str(error)
        ) from None
    except Exception as error:
        # A damaged file can raise any exception; code in the file is refused here as well.
        raise CheckpointError(
            "not a weights file, or a damaged one, or one that holds code",
            f"{path} ({path.stat().st_size:,} bytes)",
            f"download it again ({type(error).__name__})",
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not _is_state_dict(content):
        raise CheckpointError("the file holds no state_dict", path, "name a weights file")
    return {str(key).removeprefix(PARALLEL_PREFIX): value for key, value in content.items()}


def _read(path: Path) -> Any:
    if is_safetensors(path):
        return load_file(path)
    mappable = zipfile.is_zipfile(path)  # the older, plain pickle format is not
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)


def is_safetensors(path: Path) -> bool:
    """By content, not by name: the length of a header, then the header."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _is_state_dict(content: object) -> bool:
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(value, Tensor) for value in content.values())
    )


def load_strictly(module: nn.Module, state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Assigns the tensors to the module, which may be on `meta`, without a copy.

    They are converted to the module's dtypes. Raises CheckpointError naming the first missing and
    unexpected keys and wrong shapes.
    """
    wanted = module.state_dict()
    require_fit(wanted, state_dict, path)
    converted = {key: state_dict[key].to(value.dtype) for key, value in wanted.items()}
    module.load_state_dict(converted, strict=True, assign=True)


def require_fit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    """Raises CheckpointError naming the first missing and unexpected keys and wrong shapes.

    wanted: the network's state_dict. given: the file's.
    """
    complaints = _complaints(wanted, given)
    if complaints:
        remedy = "this file belongs to another network, or is not complete"
        raise CheckpointError("weights do not fit", f"{path}: {'; '.join(complaints)}", remedy)


def _complaints(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    wrong = [
        f"{key} {tuple(given[key].shape)}, not {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in given and given[key].shape != value.shape
    ]
    found = (("missing", missing), ("unexpected", unexpected), ("wrong shape", wrong))
    return [_listed(what, keys) for what, keys in found if keys]


def _listed(what: str, keys: list[str]) -> str:
    more = f" and {len(keys) - NAMED_AT_MOST} more" if len(keys) > NAMED_AT_MOST else ""
    return f"{what}: {', '.join(keys[:NAMED_AT_MOST])}{more}"
