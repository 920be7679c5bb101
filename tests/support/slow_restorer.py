"""A restorer for tests that takes its time, so that something can happen meanwhile."""

from __future__ import annotations

import time

import torch

SECONDS = 0.6
"""For each call."""


class SlowRestorer:
    name = "slow"
    size = 512

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        time.sleep(SECONDS)
        return (faces * 1.3).clamp(-1, 1)


def load(_config, _execution) -> SlowRestorer:
    return SlowRestorer()
