"""A task that trains in milliseconds: a small network takes noise out of pictures of clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn

from latentsync.errors import MediaError
from latentsync.training.batch import Losses

SIZE = 12


@dataclass(frozen=True, slots=True, eq=False)
class SmallBatch:
    """pictures: (B, SIZE) float32. seeds: (B,) int64."""

    pictures: Tensor
    seeds: Tensor
    clips: tuple[str, ...]


class SmallClips:
    """bad: index of a clip that is NaN. unreadable: ... that raises."""

    def __init__(self, count: int = 7, *, bad: int = -1, unreadable: int = -1) -> None:
        self.count, self.bad, self.unreadable, self.epoch = count, bad, unreadable, 0
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: int) -> tuple[Tensor, int, str]:
        self.asked.append((self.epoch, index))
        if index == self.unreadable:
            raise MediaError("cannot read the clip", f"clip{index}", "leave it out")
        seed = self.epoch * 1000 + index
        picture = torch.randn(SIZE, generator=Generator().manual_seed(index))
        if index == self.bad:
            picture[3] = torch.nan
        return picture, seed, f"clip{index}.mp4"


def collate(items: Sequence[Any]) -> SmallBatch:
    pictures, seeds, clips = zip(*items, strict=True)
    return SmallBatch(torch.stack(pictures), torch.tensor(seeds), tuple(clips))


def small_network(seed: int = 0) -> nn.Module:
    """Its first layer does not train. There are float32 weights and a buffer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(SIZE, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, SIZE)
        )
    network[0].requires_grad_(False)
    return network


@dataclass(slots=True)
class SmallTask:
    model: nn.Module = field(default_factory=small_network)
    device: Any = None

    def losses(self, model: nn.Module, batch: SmallBatch) -> Losses:
        noise = torch.stack(
            [torch.randn(SIZE, generator=Generator().manual_seed(s)) for s in batch.seeds.tolist()]
        )
        found = model(batch.pictures + noise.to(batch.pictures))
        recon = (found - batch.pictures).square().mean(dim=1)
        size = found.abs().mean(dim=1)
        each = recon + 0.01 * size
        parts = {"recon": recon.mean().detach(), "size": size.mean().detach()}
        return Losses(each.mean(), parts, each.detach(), {"largest": float(found.detach().max())})

    def to(self, device: Any) -> None:
        self.device = device
