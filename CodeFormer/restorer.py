"""CodeFormer as a restorer. Its published weights are for non-commercial use only."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from CodeFormer.network import SIZE, CodeFormer
from latentsync.errors import ConfigError
from latentsync.runtime.execute import run_on_faces
from latentsync.weights.find import find
from latentsync.weights.load import build
from latentsync.weights.manifest import CODEFORMER

if TYPE_CHECKING:
    from latentsync.restore.base import Restorer
    from latentsync.schema import RestoreConfig

DEFAULT_FIDELITY = 0.8  # in a video the choice of codes flickers less the higher it is
HIGHEST_FIDELITY = 1.2  # the author's advice for videos goes up to here


class CodeFormerRestorer:
    """See latentsync.restore.base.Restorer. fidelity: the network's w, 0..1.2."""

    name = "CodeFormer"
    licence = str(CODEFORMER.licence)
    size: int | None = SIZE

    def __init__(self, network: CodeFormer, *, fidelity: float, checkpoint: Path) -> None:
        self._network = network
        self._fidelity = fidelity
        self.checkpoint = checkpoint

    def __call__(self, faces: Tensor) -> Tensor:
        """faces: (N, 3, 512, 512) float RGB [-1, 1] -> the same. Raises CheckpointError on NaN."""
        network = partial(self._network, w=self._fidelity)
        weight = self._network.feat_emb.weight
        return run_on_faces(network, faces, weight=weight, name=self.name)


def load(config: RestoreConfig, device: torch.device) -> Restorer:
    """Raises ConfigError (fidelity) and CheckpointError (weights missing or not fitting)."""
    fidelity = DEFAULT_FIDELITY if config.fidelity is None else config.fidelity
    if not 0 <= fidelity <= HIGHEST_FIDELITY:
        remedy = f"use 0 (sharpest) to 1 (closest to the input), at most {HIGHEST_FIDELITY}"
        raise ConfigError("restore.fidelity", fidelity, remedy)
    path = find(CODEFORMER, config.checkpoint)
    network = build(CodeFormer, CODEFORMER, path, device)
    return CodeFormerRestorer(network, fidelity=fidelity, checkpoint=path)
