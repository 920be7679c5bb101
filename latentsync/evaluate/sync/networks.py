"""SyncNet as the execution runs networks: embeddings of runs of crops and of cepstra.

Always in float32, so that figures can be compared between machines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from latentsync.models import syncnet
from latentsync.models.syncnet import (
    CEPSTRA,
    CEPSTRA_PER_FRAME,
    FRAMES,
    SIDE,
    AudioEmbedder,
    SyncNet,
)
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.weights.evaluation_files import SYNCNET
from latentsync.weights.load import build

WINDOWS = 16
"""Windows that are embedded at once."""
_ROWS = CEPSTRA_PER_FRAME * FRAMES


class Embedder(Protocol):
    """Computes what SyncNet compares. path: of its weights, for messages."""

    path: Path

    def lips(self, crops: np.ndarray) -> np.ndarray:
        """(n + 4, 224, 224, 3) uint8 RGB, n up to WINDOWS -> (n, D) float32."""
        ...

    def audio(self, cepstra: np.ndarray) -> np.ndarray:
        """(4 n + 16, 13), n up to WINDOWS -> (n, D) float32."""
        ...


class SyncNetEmbedder:
    """An Embedder."""

    def __init__(self, path: Path, execution: Execution) -> None:
        """path: of weights.find. Raises CheckpointError."""
        self.path = path
        self._one_shape = execution.backend != "torch"  # which takes any
        networks = Networks(
            lambda dtype: build(SyncNet, SYNCNET, path, execution.device, dtype=dtype),
            name=SYNCNET.key,
            checkpoint=path,
            execution=execution,
            sources=[syncnet],
        )
        crops = torch.zeros(3, WINDOWS + FRAMES - 1, SIDE, SIDE)
        cepstra = torch.zeros(WINDOWS, 1, CEPSTRA, _ROWS)
        self._lips = networks.part(Part("lips", _LipsOfRun, precise=True), crops)
        self._audio = networks.part(Part("audio", AudioEmbedder, precise=True), cepstra)

    def lips(self, crops: np.ndarray) -> np.ndarray:
        count = len(crops) - FRAMES + 1
        filled = self._filled(crops[..., ::-1], WINDOWS + FRAMES - 1)  # BGR
        frames = torch.from_numpy(filled.transpose(3, 0, 1, 2).astype(np.float32))
        (embeddings,) = self._lips(frames)
        return embeddings[:count].cpu().numpy()

    def audio(self, cepstra: np.ndarray) -> np.ndarray:
        count = (len(cepstra) - _ROWS) // CEPSTRA_PER_FRAME + 1
        starts = np.arange(count) * CEPSTRA_PER_FRAME
        windows = cepstra[starts[:, None] + np.arange(_ROWS)].transpose(0, 2, 1)
        filled = self._filled(windows[:, None].astype(np.float32), WINDOWS)
        (embeddings,) = self._audio(torch.from_numpy(filled))
        return embeddings[:count].cpu().numpy()

    def _filled(self, values: np.ndarray, count: int) -> np.ndarray:
        """A compiled graph takes exactly one shape: the last value is repeated."""
        missing = count - len(values) if self._one_shape else 0
        return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])


class _LipsOfRun(nn.Module):
    """`SyncNet.lips_of_run` as a module, which a backend can run."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        assert isinstance(network, SyncNet)
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        return self.network.lips_of_run(frames)
