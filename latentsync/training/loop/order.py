"""Which samples a process reads: batches of an order that any number of processes share and that
can be entered anywhere."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Generator
from torch.utils.data import DataLoader, Dataset, Sampler

from latentsync.errors import LatentSyncError

Place = tuple[int, int]
"""Epoch, index in the dataset."""


class Clips(Protocol):
    """A dataset whose items depend on its seed, the epoch and the index only, and come in an order
    of the epoch's own: see data.order."""

    def __len__(self) -> int: ...

    def set_epoch(self, epoch: int) -> None: ...

    def __getitem__(self, index: int) -> Any: ...


class RankBatches(Sampler[list[Place]]):
    """The batches of one process. Together, the processes' batches of a turn are one stretch of
    the order, so that two processes train on what one with twice the batch does.

    count: of samples in an epoch, which follow each other by index: their dataset shuffles them.
    position: of the first sample of all processes, since the start of the training. A batch may lie
    in two epochs: nothing is dropped.
    """

    def __init__(
        self, count: int, *, position: int, turns: int, batch: int, rank: int, processes: int
    ) -> None:
        self.count, self.position, self.turns = count, position, turns
        self.batch, self.rank, self.processes = batch, rank, processes

    def __len__(self) -> int:
        return self.turns

    def __iter__(self) -> Iterator[list[Place]]:
        for turn in range(self.turns):
            first = self.position + (turn * self.processes + self.rank) * self.batch
            yield [divmod(place, self.count) for place in range(first, first + self.batch)]


class _ByEpoch(Dataset[Any]):
    """Sets the epoch where it changes: also in processes that read ahead. An error that a user can
    act on is returned, as PyTorch's loader would turn it into another one."""

    def __init__(self, clips: Clips) -> None:
        self._clips, self._epoch = clips, -1

    def __getitem__(self, place: Place) -> Any:
        epoch, index = place
        if epoch != self._epoch:
            self._clips.set_epoch(epoch)
            self._epoch = epoch
        try:
            return self._clips[index]
        except LatentSyncError as error:
            return error


class _Collate:
    def __init__(self, collate: Callable[[Sequence[Any]], Any]) -> None:
        self._collate = collate

    def __call__(self, items: Sequence[Any]) -> Any:
        failed = next((item for item in items if isinstance(item, LatentSyncError)), None)
        return self._collate(items) if failed is None else failed


def batches(
    clips: Clips, collate: Callable[[Sequence[Any]], Any], sampler: RankBatches, *, workers: int
) -> Iterator[Any]:
    """The batches of one process, in order; with workers they are read ahead.

    Raises what the dataset raises.
    """
    loader: DataLoader[Any] = DataLoader(
        _ByEpoch(clips),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_Collate(collate),
        worker_init_fn=_alone if workers else None,
        generator=Generator().manual_seed(0),  # else it draws from the global one
    )
    for batch in loader:
        if isinstance(batch, LatentSyncError):
            raise batch
        yield batch


def _alone(_worker: int) -> None:
    """For a reading process: Ctrl-C is its parent's to handle, which ends it in its own time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
