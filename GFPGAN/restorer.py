"""GFPGAN as a restorer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from GFPGAN import network, window
from GFPGAN.network import SIZE, GFPGANv1Clean, InWindow
from GFPGAN.window import WHOLE, cut, snapped
from latentsync.errors import ConfigError
from latentsync.runtime.execution import run_on_faces
from latentsync.runtime.int8 import Note
from latentsync.runtime.network import Networks, Part, Runner
from latentsync.types import Box
from latentsync.weights.find import find
from latentsync.weights.load import build, log_weights_used
from latentsync.weights.manifest import GFPGAN

if TYPE_CHECKING:
    from latentsync.restoration.base import Restorer
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import RestoreConfig

DEFAULT_FIDELITY = 0.2  # 80 % of the restoration, a usual default
USUAL = {
    "mouth": Box(96, 288, 416, 512),
    "lower_face": Box(64, 224, 448, 512),
    "face": Box(64, 128, 448, 512),
}
"""restore.region -> a window that fits the faces of five videos, prepared in advance."""
IN_INT8 = (USUAL["mouth"], USUAL["lower_face"], WHOLE)
"""The windows that there are in int8, smallest first: each is made by hand, so they are few."""
_EXAMPLE = torch.zeros(1, 3, SIZE, SIZE)


class GFPGANRestorer:
    """See latentsync.restoration.base.Restorer; Windowed, Quantizable (in_int8).

    fidelity: share of the input in the result, 0..1. The network itself has no such input: the
    weight of its original command line has no effect. window: the part that is restored; outside
    it the result is the input.
    """

    name = "GFPGAN"
    licence = str(GFPGAN.licence)
    size: int | None = SIZE

    def __init__(self, networks: Networks, *, fidelity: float, window: Box = WHOLE) -> None:
        """networks: of GFPGANv1Clean."""
        self._networks, self._fidelity, self._window = networks, fidelity, window
        self.checkpoint, self.in_int8 = networks.checkpoint, networks.in_int8

    def within(self, box: Box) -> GFPGANRestorer:
        """Returns a restorer of the window around the box, on a coarse grid."""
        window = snapped(box)
        if self._networks.execution.int8:
            window = next(one for one in IN_INT8 if one.joined(window) == one)
        restorer = GFPGANRestorer(self._networks, fidelity=self._fidelity, window=window)
        restorer.prepare()
        return restorer

    def quantize(
        self, faces: Tensor, checked: Tensor, begins: Callable[[str], None]
    ) -> dict[str, Note]:
        """See latentsync.restoration.base.Quantizable."""
        notes = {}
        for part in map(_part, IN_INT8):
            begins(part.name)
            notes[part.name] = self._networks.quantize(part, faces.split(1), checked.split(1))
        return notes

    def prepare(self) -> None:
        """Prepares the network, which can take half a minute. Raises CheckpointError."""
        _ = self._runner

    def __call__(self, faces: Tensor) -> Tensor:
        """faces: (N, 3, 512, 512) float RGB [-1, 1] -> the same. Raises CheckpointError on NaN."""
        execution = self._networks.execution
        restored = run_on_faces(self._restored, faces, execution=execution, name=self.name)
        result = faces.clone()
        place = cut(result, WHOLE, self._window)
        place.copy_(torch.lerp(restored, place, self._fidelity))
        return result

    def _restored(self, faces: Tensor) -> Tensor:
        return self._runner(faces)[0]

    @cached_property
    def _runner(self) -> Runner:
        runner = self._networks.part(_part(self._window), _EXAMPLE)
        if self._networks.execution.backend == "openvino":
            self._networks.release()  # 350 MB that the graph does not need
        return runner


def _part(box: Box) -> Part:
    if box == WHOLE:
        return Part("whole", lambda net: net, int8=True)
    name = f"columns {box.x0} to {box.x1}, rows {box.y0} to {box.y1}"
    return Part(name, partial(InWindow, window=box), int8=True)


def load(config: RestoreConfig, execution: Execution) -> Restorer:
    """Raises ConfigError (fidelity) and CheckpointError (weights missing or not fitting)."""
    fidelity = DEFAULT_FIDELITY if config.fidelity is None else config.fidelity
    if not 0 <= fidelity <= 1:
        raise ConfigError("restore.fidelity", fidelity, "use 0 (all restored) to 1 (as it was)")
    path = find(GFPGAN, config.checkpoint)
    log_weights_used(GFPGAN, path)
    networks = Networks(
        lambda dtype: build(
            GFPGANv1Clean, GFPGAN, path, execution.device, dtype=dtype, logged=True
        ),
        name="GFPGAN",
        checkpoint=path,
        execution=execution,
        sources=[network, window],
    )
    restorer = GFPGANRestorer(networks, fidelity=fidelity)
    for box in IN_INT8 if execution.int8 else (USUAL[config.region],):
        restorer.within(box)
    return restorer
