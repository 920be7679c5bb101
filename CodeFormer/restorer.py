"""CodeFormer as a restorer. Its published weights are for non-commercial use only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from CodeFormer.network import SIZE, CodeFormer
from latentsync.errors import CheckpointError, ConfigError
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
    licence = CODEFORMER.licence
    size: int | None = SIZE

    def __init__(self, network: CodeFormer, *, fidelity: float, checkpoint: Path) -> None:
        self._network = network
        self._fidelity = fidelity
        self.checkpoint = checkpoint

    def __call__(self, faces: Tensor) -> Tensor:
        """faces: (N, 3, 512, 512) float RGB [-1, 1] -> the same, same device and number format.

        Raises CheckpointError where the network gives NaN or infinity.
        """
        weight = self._network.feat_emb.weight
        # A batch gains no time on a CPU, costs memory, and could tip a code that is almost tied.
        portions = faces.split(1) if weight.device.type == "cpu" else (faces,)
        with torch.inference_mode():
            restored = torch.cat(
                [self._network(portion.to(weight), self._fidelity) for portion in portions]
            )
        if not restored.isfinite().all():
            what = "NaN or infinity in a restored face"
            raise CheckpointError(what, self.name, "download its weights file again")
        return restored.clamp(-1, 1).to(faces)


def load(config: RestoreConfig, device: torch.device) -> Restorer:
    """Raises ConfigError (fidelity) and CheckpointError (weights missing or not fitting)."""
    fidelity = DEFAULT_FIDELITY if config.fidelity is None else config.fidelity
    if not 0 <= fidelity <= HIGHEST_FIDELITY:
        remedy = f"use 0 (sharpest) to 1 (closest to the input), at most {HIGHEST_FIDELITY}"
        raise ConfigError("restore.fidelity", fidelity, remedy)
    path = find(CODEFORMER, config.checkpoint)
    network = build(CodeFormer, CODEFORMER, path, device)
    return CodeFormerRestorer(network, fidelity=fidelity, checkpoint=path)
