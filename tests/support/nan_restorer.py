"""A restorer whose results are no numbers: an error must come of it, never a video."""

from __future__ import annotations

import torch


class NanRestorer:
    name, size = "a nan restorer", None

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        return faces * float("nan")


def load(_config: object, _execution: object) -> NanRestorer:
    return NanRestorer()
