"""Averages of the weights that train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Averages:
    """Exponential moving averages, float32, of the parameters that train; by their names."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._kept = {
            name: value.detach().clone().float()
            for name, value in model.named_parameters()
            if value.requires_grad
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        for name, value in model.named_parameters():
            if name in self._kept:
                self._kept[name].lerp_(value.detach().float(), 1 - self.decay)

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """While it lasts, the model has the averages as its weights."""
        values = dict(model.named_parameters())
        trained = {name: values[name].detach().clone() for name in self._kept}
        _copy(self._kept, values)
        try:
            yield
        finally:
            _copy(trained, values)

    def within(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A copy of the state_dict with the averages in place of the weights."""
        return dict(state) | {name: value.cpu() for name, value in self._kept.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """state: as made by within()."""
        for name, value in self._kept.items():
            value.copy_(state[name])


@torch.no_grad()
def _copy(given: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, value in given.items():
        values[name].copy_(value)
