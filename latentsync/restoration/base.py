"""What a restorer is, and the table that names the ones that come with the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from latentsync.plugins import find_plugin
from latentsync.weights.find import find
from latentsync.weights.manifest import CODEFORMER, GFPGAN, ModelFile

if TYPE_CHECKING:
    import numpy as np
    import torch

    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import RestoreConfig
    from latentsync.types import Box


@runtime_checkable
class Restorer(Protocol):
    """Better pixels from the same content. No I/O, no state between calls.

    size: side of the square that it works on (512: the FFHQ square), or None for the box around
        the region at the frame's own scale.
    __call__: faces (N, 3, h, w) float RGB [-1, 1] -> same shape and range. A failure raises;
        handing the input back as if it had been restored is the worst thing it could do.
    """

    name: str
    size: int | None

    def __call__(self, faces: torch.Tensor) -> torch.Tensor: ...


@runtime_checkable
class Tunable(Protocol):
    """A restorer that is set once for each track, from what pass 1 measured, and stays constant."""

    def tuned(self, energies: np.ndarray) -> Restorer:
        """energies: (F, 2, BANDS) float32 from restore.sharpness, all frames of one track."""
        ...


@runtime_checkable
class Windowed(Protocol):
    """A restorer that works on a square, and can do less where only a part of it will show."""

    def within(self, box: Box) -> Restorer:
        """box: of the square, half open, not empty -> a restorer that gives in it what this one
        does; outside of it, possibly, the input as it is."""
        ...


@runtime_checkable
class Fittable(Protocol):
    """A restorer that learns from the person's own mouths, once for each track, before it works.

    For the arguments see PersonalizedRestorer. fit_result: what came of it, for the report.
    """

    fit_result: object

    def fit(
        self,
        originals: Sequence[torch.Tensor],
        generated: Sequence[torch.Tensor],
        *,
        seconds: np.ndarray,
        mask: np.ndarray,
        fallback: Restorer | None,
    ) -> Fittable:
        """From mouths as filmed, and others as they were generated."""
        ...

    def fit_pairs(
        self,
        degraded: Sequence[torch.Tensor],
        originals: Sequence[torch.Tensor],
        *,
        seconds: np.ndarray,
        mask: np.ndarray,
        fallback: Restorer | None,
    ) -> Fittable:
        """From mouths as filmed, and what the generator makes of the same ones."""
        ...

    def __call__(self, faces: torch.Tensor) -> torch.Tensor: ...


RestorerLoader = Callable[["RestoreConfig", "Execution"], Restorer]
"""A loader makes a restorer ready for work, as the execution says, or raises a LatentSyncError."""

RESTORERS: dict[str, str] = {
    "Detail": "latentsync.restoration.detail:load",
    "Self": "latentsync.restoration.personal.restorer:load",
    "GFPGAN": "GFPGAN.restorer:load",
    "CodeFormer": "CodeFormer.restorer:load",
}


PUBLISHED = {"gfpgan": GFPGAN, "codeformer": CODEFORMER}
"""Weights that restorers of the table need, by name in lower case."""


def weights_wanted(config: RestoreConfig) -> list[tuple[ModelFile, str | None]]:
    """The files that the restorer needs, each with the path that the configuration gives it."""
    model = PUBLISHED.get(config.name.lower())
    return [] if model is None or config.when == "never" else [(model, config.checkpoint)]


def load_restorer(
    config: RestoreConfig, execution: Execution, *, folders: Sequence[str | Path] = ()
) -> Restorer:
    """The restorer that ``restore.name`` asks for, ready for work.

    folders: where its weights may lie in addition; see weights.find. Raises UnknownPluginError, or
    whatever LatentSyncError its loader raises.
    """
    load: RestorerLoader = find_plugin("restorer", config.name, RESTORERS)
    for model, explicit in weights_wanted(config):
        config = replace(config, checkpoint=str(find(model, explicit, folders=folders)))
    return load(config, execution)
