"""GFPGAN as a restorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from GFPGAN import network, window
from GFPGAN.network import SIZE, GFPGANv1Clean, InWindow
from GFPGAN.window import WHOLE, cut, snapped
from latentsync.errors import ConfigError
from latentsync.runtime.execution import run_on_faces
from latentsync.runtime.int8 import Note, read_note
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
_EXAMPLE = torch.zeros(1, 3, SIZE, SIZE)


class GFPGANRestorer:
    """See latentsync.restoration.base.Restorer; Windowed, Quantizable (in_int8).

    fidelity: share of the input in the result, 0..1. The network itself has no such input: the
    weight of its original command line has no effect. window: the part that is restored; outside
    it the result is the input. usual: the window that is prepared in advance; in int8 there is it
    and the whole, no other one.
    """

    name = "GFPGAN"
    licence = str(GFPGAN.licence)
    size: int | None = SIZE

    def __init__(
        self,
        networks: Networks,
        *,
        fidelity: float,
        usual: Box = USUAL["mouth"],
        window: Box = WHOLE,
        in_int8: Mapping[str, Note] | None = None,
    ) -> None:
        """networks: of GFPGANv1Clean."""
        self.in_int8 = dict(in_int8 or {})
        self._networks, self._fidelity, self._window = networks, fidelity, window
        self._usual, self.checkpoint = usual, networks.checkpoint

    def within(self, box: Box) -> GFPGANRestorer:
        """Returns a restorer of the window around the box, on a coarse grid."""
        window = snapped(box)
        if self._networks.execution.int8:
            window = self._usual if self._usual.joined(window) == self._usual else WHOLE
        restorer = GFPGANRestorer(
            self._networks,
            fidelity=self._fidelity,
            usual=self._usual,
            window=window,
            in_int8=self.in_int8,
        )
        restorer.prepare()
        return restorer

    @property
    def files(self) -> list[Path]:
        """What the result depends on: the weights and, in int8, the graphs."""
        graphs = _int8_graphs(self._networks, self._usual).values()
        return [self.checkpoint, *(path.with_suffix(".bin") for path in graphs)]

    def quantize(
        self, faces: Tensor, checked: Tensor, begins: Callable[[str], None]
    ) -> dict[str, Note]:
        """See latentsync.restoration.base.Quantizable."""
        notes = {}
        for part in _int8_parts(self._usual):
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


def _int8_parts(usual: Box) -> list[Part]:
    """That there are in int8."""
    return [_part(window) for window in dict.fromkeys((usual, WHOLE))]


def _int8_graphs(networks: Networks, usual: Box) -> dict[str, Path]:
    """Name of a part -> its graph in int8; empty where none is run so. Raises ConfigError."""
    parts = _int8_parts(usual) if networks.execution.int8 else []
    return {part.name: networks.int8_file(part, _EXAMPLE) for part in parts}


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
    usual = USUAL[config.region]
    notes = {name: read_note(path) for name, path in _int8_graphs(networks, usual).items()}
    restorer = GFPGANRestorer(networks, fidelity=fidelity, usual=usual, in_int8=notes)
    restorer.within(usual)
    return restorer
