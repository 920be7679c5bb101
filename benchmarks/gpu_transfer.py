"""Copies between CPU and GPU that run while the GPU computes; plain copies on other devices.

    transfers = Transfers(device)
    for result in overlapped(chunks, work, transfers): ...

A GPU copies asynchronously only from and to pinned memory, which the system never moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor


class Arriving:
    """Tensors on their way to the device."""

    def __init__(self, tensors: tuple[Tensor, ...], sent: torch.cuda.Event | None) -> None:
        self._tensors, self._sent = tensors, sent

    def tensors(self) -> tuple[Tensor, ...]:
        """For use on the current stream, which waits for them; the CPU does not."""
        if self._sent is not None:
            for tensor in self._tensors:
                stream = torch.cuda.current_stream(tensor.device)
                stream.wait_event(self._sent)
                tensor.record_stream(stream)  # otherwise its memory could be reused too early
        return self._tensors


class Leaving:
    """A tensor on its way to the CPU."""

    def __init__(self, tensor: Tensor, sent: torch.cuda.Event | None) -> None:
        self._tensor, self._sent = tensor, sent

    def tensor(self) -> Tensor:
        """On the CPU, complete."""
        if self._sent is not None:
            self._sent.synchronize()
        return self._tensor


class Transfers:
    """A stream for each direction, besides the one that computes. For one thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        cuda = device.type == "cuda"
        self._in = torch.cuda.Stream(device) if cuda else None
        self._out = torch.cuda.Stream(device) if cuda else None

    def to_device(self, *tensors: Tensor) -> Arriving:
        """tensors: on the CPU; they may be changed as soon as this returns."""
        if self._in is None:
            # A copy even where there is nothing to move: what was sent no longer changes.
            return Arriving(tuple(t.to(self._device, copy=True) for t in tensors), None)
        with torch.cuda.stream(self._in):
            pinned = [_pinned_copy(tensor) for tensor in tensors]
            moved = tuple(tensor.to(self._device, non_blocking=True) for tensor in pinned)
        return Arriving(moved, self._in.record_event())

    def to_host(self, tensor: Tensor) -> Leaving:
        """tensor: on the device, as the current stream will have made it; not changed later on."""
        if self._out is None:
            return Leaving(tensor.cpu(), None)
        self._out.wait_stream(torch.cuda.current_stream(self._device))
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        with torch.cuda.stream(self._out):
            host.copy_(tensor, non_blocking=True)
        tensor.record_stream(self._out)
        return Leaving(host, self._out.record_event())


def overlapped(
    chunks: Iterable[tuple[Tensor, ...]], work: Callable[..., Tensor], transfers: Transfers
) -> Iterator[Tensor]:
    """work(*chunk) for every chunk, in order: results on the CPU.

    chunks: tuples of CPU tensors. work: from and to the device; it must not wait for the GPU, or
    nothing overlaps. While one chunk is worked on, the next goes in and the last one comes out: two
    chunks are read ahead of the result that is given.
    """
    source = iter(chunks)
    arriving = _sent(source, transfers)
    leaving: Leaving | None = None
    while arriving is not None:
        done, leaving = leaving, transfers.to_host(work(*arriving.tensors()))
        arriving = _sent(source, transfers)  # after the work is under way: pinning takes CPU time
        if done is not None:
            yield done.tensor()
    if leaving is not None:
        yield leaving.tensor()


def _sent(source: Iterator[tuple[Tensor, ...]], transfers: Transfers) -> Arriving | None:
    chunk = next(source, None)
    return None if chunk is None else transfers.to_device(*chunk)


def _pinned_copy(tensor: Tensor) -> Tensor:
    """Copied even where it is pinned already: the GPU reads it later than the caller may write."""
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return pinned.copy_(tensor)
