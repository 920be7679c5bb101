"""GFPGAN as a restorer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from GFPGAN.network import SIZE, GFPGANv1Clean
from latentsync.errors import ConfigError
from latentsync.runtime.execute import run_on_faces
from latentsync.weights.find import find
from latentsync.weights.load import build
from latentsync.weights.manifest import GFPGAN

if TYPE_CHECKING:
    from latentsync.restore.base import Restorer
    from latentsync.schema import RestoreConfig

DEFAULT_FIDELITY = 0.2  # the blend of 80 % that others ship as their default


class GFPGANRestorer:
    """See latentsync.restore.base.Restorer.

    fidelity: share of the input in the result, 0..1. The network itself has no such dial: the
    weight that its original command line takes reaches nothing.
    """

    name = "GFPGAN"
    licence = str(GFPGAN.licence)
    size: int | None = SIZE

    def __init__(self, network: GFPGANv1Clean, *, fidelity: float, checkpoint: Path) -> None:
        self._network = network
        self._fidelity = fidelity
        self.checkpoint = checkpoint

    def __call__(self, faces: Tensor) -> Tensor:
        """faces: (N, 3, 512, 512) float RGB [-1, 1] -> the same. Raises CheckpointError on NaN."""
        weight = self._network.final_linear.weight
        restored = run_on_faces(self._network, faces, weight=weight, name=self.name)
        return torch.lerp(restored, faces, self._fidelity)


def load(config: RestoreConfig, device: torch.device) -> Restorer:
    """Raises ConfigError (fidelity) and CheckpointError (weights missing or not fitting)."""
    fidelity = DEFAULT_FIDELITY if config.fidelity is None else config.fidelity
    if not 0 <= fidelity <= 1:
        raise ConfigError("restore.fidelity", fidelity, "use 0 (all restored) to 1 (as it was)")
    path = find(GFPGAN, config.checkpoint)
    network = build(GFPGANv1Clean, GFPGAN, path, device)
    return GFPGANRestorer(network, fidelity=fidelity, checkpoint=path)
