"""Batch size by free GPU memory, the memory format of weights, copies to the CPU, freed memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")

SHARE = 0.8  # of the free memory: a batch may need more than its size times one image


def fitting_batch(run: Callable[[int], object], *, most: int, device: torch.device) -> int:
    """The largest of most, most / 2, most / 4 ... that fits into the GPU's free memory; at least 1.

    run: processes that many images; called twice with 1, and the second call's peak is measured, as
    cuDNN tries kernels in the first. On other devices `most`, and nothing is run.
    """
    if device.type != "cuda":
        return most
    run(1)
    _, need = with_need(lambda: run(1), device)
    batch = most
    while batch > 1 and batch * need > SHARE * free_bytes(device):
        batch //= 2
    return batch


def free_bytes(device: torch.device) -> int:
    """Memory available to PyTorch: free on the GPU, or reserved by PyTorch and unused; elsewhere
    without limit."""
    if device.type != "cuda":
        return sys.maxsize
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor on the CPU, complete. From a GPU through memory that the system never moves: 50 MB
    took 0.9 ms so on an H100, and 30 ms otherwise."""
    if tensor.device.type != "cuda":
        return tensor.cpu()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return host


def with_need(act: Callable[[], T], device: torch.device) -> tuple[T, int]:
    """-> the result of act, and the bytes of GPU memory that it took beside those taken before."""
    if device.type != "cuda":
        return act(), 0
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    result = act()
    torch.cuda.synchronize(device)
    return result, torch.cuda.max_memory_allocated(device) - before


def set_memory_format(network: nn.Module, order: torch.memory_format) -> None:
    """Converts the weights of all 2-D convolutions to that memory format, in place.

    Module.to fails on a modulated convolution's kernel, which has five axes, the first of length 1.
    """
    for value in (*network.parameters(), *network.buffers()):
        if value.dim() == 4:
            value.data = value.data.contiguous(memory_format=order)
        elif value.dim() == 5 and len(value) == 1:
            value.data = value.data[0].contiguous(memory_format=order)[None]


def return_freed_memory() -> None:
    """Gives what was freed back to the system.

    glibc keeps it, in an arena for each of many threads; what the next ones free comes on top. A
    few milliseconds; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
