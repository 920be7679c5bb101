"""A restorer with a small network that can run in 8-bit integers, as GFPGAN's can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from latentsync.runtime.execution import Execution
from latentsync.runtime.int8 import Note
from latentsync.runtime.network import Networks, Part

SIZE = 512
WHOLE = Part("whole", lambda net: net, int8=True)
EXAMPLE = torch.zeros(1, 3, SIZE, SIZE)


class Sharper(nn.Module):
    """Adds a little of what a blur takes away, in a roundabout way."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide = nn.Conv2d(3, 16, 3, padding=1)
        self.narrow = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, faces: Tensor) -> Tensor:
        return 0.8 * faces + 0.2 * self.narrow(torch.relu(self.wide(faces)))


class Int8Restorer:
    name = "Sharper"
    size: int | None = SIZE

    def __init__(self, execution: Execution) -> None:
        self.checkpoint = Path(__file__)
        self._networks = Networks(
            lambda dtype: Sharper().eval().requires_grad_(False).to(dtype),
            name="Sharper",
            checkpoint=self.checkpoint,
            execution=execution,
        )
        self._run = self._networks.part(WHOLE, EXAMPLE)
        self.in_int8 = self._networks.in_int8

    def __call__(self, faces: Tensor) -> Tensor:
        return torch.cat([self._run(one)[0] for one in faces.split(1)]).clamp(-1, 1)

    def quantize(
        self, faces: Tensor, checked: Tensor, begins: Callable[[str], None]
    ) -> dict[str, Note]:
        begins(WHOLE.name)
        return {WHOLE.name: self._networks.quantize(WHOLE, faces.split(1), checked.split(1))}


def load(_config: object, execution: Execution) -> Int8Restorer:
    return Int8Restorer(execution)
