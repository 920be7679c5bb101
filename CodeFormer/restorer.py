"""CodeFormer as a restorer. Its published weights are for non-commercial use only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from torch import Tensor

from CodeFormer import network, parts
from CodeFormer.network import SIZE, CodeFormer
from CodeFormer.parts import CodeFormerInParts
from CodeFormer.steadiness import CodeHysteresis
from latentsync.errors import ConfigError
from latentsync.runtime.execution import Execution, run_on_faces
from latentsync.runtime.network import Networks
from latentsync.weights.find import find
from latentsync.weights.load import build, log_weights_used
from latentsync.weights.manifest import CODEFORMER

if TYPE_CHECKING:
    from latentsync.restoration.base import Moment, Restorer
    from latentsync.settings.schema import RestoreConfig

DEFAULT_FIDELITY = 0.8  # the higher, the less a video flickers
HIGHEST_FIDELITY = 1.2  # the author's recommendation for videos goes up to this


class CodeFormerRestorer:
    """See latentsync.restoration.base.Restorer; Steadiable. fidelity: the network's w, 0..1.2."""

    name = "CodeFormer"
    licence = str(CODEFORMER.licence)
    size: int | None = SIZE

    def __init__(self, networks: Networks, *, fidelity: float) -> None:
        """networks: of CodeFormer."""
        self._network = CodeFormerInParts(networks, w=fidelity)
        self._execution = networks.execution
        self.checkpoint = networks.checkpoint

    def __call__(self, faces: Tensor) -> Tensor:
        """faces: (N, 3, 512, 512) float RGB [-1, 1] -> the same. Raises CheckpointError on NaN."""
        return run_on_faces(self._network, faces, execution=self._execution, name=self.name)

    def steadied(self, margin: float, *, longest: int) -> SteadyCodeFormer:
        """margin: by which another codebook entry has to fit better; see CodeHysteresis."""
        codes = CodeHysteresis(margin, longest=longest)
        return SteadyCodeFormer(self._network, self._execution, codes)


class SteadyCodeFormer:
    """See latentsync.restoration.base.SteadyRestorer."""

    def __init__(
        self, network: CodeFormerInParts, execution: Execution, codes: CodeHysteresis
    ) -> None:
        self._network, self._execution, self._codes = network, execution, codes

    def __call__(self, faces: Tensor, moments: Sequence[Moment]) -> Tensor:
        """As CodeFormerRestorer, the faces at those moments."""
        waiting = iter(moments)

        def choose(logits: Tensor) -> Tensor:
            return self._codes(logits, list(islice(waiting, len(logits))))

        def restored(batch: Tensor) -> Tensor:
            return self._network(batch, choose)

        name = CodeFormerRestorer.name
        return run_on_faces(restored, faces, execution=self._execution, name=name)


def load(config: RestoreConfig, execution: Execution) -> Restorer:
    """Raises ConfigError (fidelity) and CheckpointError (weights missing or not fitting)."""
    fidelity = DEFAULT_FIDELITY if config.fidelity is None else config.fidelity
    if not 0 <= fidelity <= HIGHEST_FIDELITY:
        remedy = f"use 0 (sharpest) to 1 (closest to the input), at most {HIGHEST_FIDELITY}"
        raise ConfigError("restore.fidelity", fidelity, remedy)
    path = find(CODEFORMER, config.checkpoint)
    log_weights_used(CODEFORMER, path)
    networks = Networks(
        lambda dtype: build(
            CodeFormer, CODEFORMER, path, execution.device, dtype=dtype, logged=True
        ),
        name="CodeFormer",
        checkpoint=path,
        execution=execution,
        sources=[network, parts],
    )
    return CodeFormerRestorer(networks, fidelity=fidelity)
