"""The interface of restorers, and the table of the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from latentsync.plugins import find_plugin
from latentsync.weights.find import find
from latentsync.weights.manifest import CODEFORMER, GFPGAN
from latentsync.weights.model_file import ModelFile

if TYPE_CHECKING:
    import numpy as np
    import torch

    from latentsync.restoration.mouth_blur import TrackBlur
    from latentsync.runtime.execution import Execution
    from latentsync.runtime.int8 import Note
    from latentsync.settings.schema import RestoreConfig
    from latentsync.types import Box


@runtime_checkable
class Restorer(Protocol):
    """Restores faces. No I/O, no state between calls.

    size: side of its square input (512: the FFHQ square), or None for the box around the region at
        the frame's own scale.
    __call__: faces (N, 3, h, w) float RGB [-1, 1] -> same shape and range. A failure must raise; it
        must never return the input as if it had been restored.
    """

    name: str
    size: int | None

    def __call__(self, faces: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class Moment:
    """When a face is shown. number: of its output frame. first: whether nothing precedes it: the
    frame before belongs to another track, or is not restored."""

    number: int
    first: bool


class SteadyRestorer(Protocol):
    """Restores one track's faces in order, and remembers the ones before. One thread at a time.

    What it returns for a frame depends on no frame `longest` or more before it (see Steadiable),
    and not on how the faces are batched.
    """

    def __call__(self, faces: torch.Tensor, moments: Sequence[Moment]) -> torch.Tensor:
        """faces: as for Restorer, the next ones of the track. moments: one for each."""
        ...


@runtime_checkable
class Steadiable(Protocol):
    """A restorer whose decisions can be steadied over time. It has no state itself."""

    def steadied(self, margin: float, *, longest: int) -> SteadyRestorer:
        """-> a new one for one track, without memory yet. margin: restore.code_margin, above 0.
        longest: output frames after which nothing is remembered."""
        ...


@runtime_checkable
class Tunable(Protocol):
    """A restorer that is tuned once for each track, from the measurements of pass 1."""

    def tuned(self, energies: np.ndarray, blur: TrackBlur) -> Restorer:
        """energies: (F, 2, BANDS) float32, see restoration.sharpness, all frames of one track.
        blur: of the track's mouths."""
        ...


@runtime_checkable
class Windowed(Protocol):
    """A restorer of squares that can be limited to the part that will show."""

    def within(self, box: Box) -> Restorer:
        """box: of the square, half open, not empty -> a restorer with the same result inside it;
        outside it may return the input."""
        ...


@runtime_checkable
class Quantizable(Protocol):
    """A restorer whose network can run in 8-bit integers. in_int8: its parts, each with what is
    known of it; empty where it does not run so."""

    in_int8: dict[str, Note]

    def quantize(
        self, faces: torch.Tensor, checked: torch.Tensor, begins: Callable[[str], None]
    ) -> dict[str, Note]:
        """Makes and keeps the graphs that runtime.precision=int8 will run.

        faces: (N, 3, h, w), as for __call__, to scale the numbers by. checked: (M, 3, h, w), other
        ones, to compare results on. begins: called with the name of each part. Returns what is
        known of each part. Raises ConfigError where they cannot be made or kept.
        """
        ...


@runtime_checkable
class Fittable(Protocol):
    """A restorer that is fitted to training mouths of the speaker, once for each track.

    For the arguments see PersonalizedRestorer. fit_result: for the report.
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
        """Fits to original mouths, given samples of the generated ones."""
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
        """Fits to pairs: original mouths and the generator's version of each."""
        ...

    def __call__(self, faces: torch.Tensor) -> torch.Tensor: ...


RestorerLoader = Callable[["RestoreConfig", "Execution"], Restorer]
"""Loads a restorer for the execution, or raises a LatentSyncError."""

RESTORERS: dict[str, str] = {
    "Detail": "latentsync.restoration.detail:load",
    "Self": "latentsync.restoration.personal.restorer:load",
    "GFPGAN": "GFPGAN.restorer:load",
    "CodeFormer": "CodeFormer.restorer:load",
}


PUBLISHED = {"gfpgan": GFPGAN, "codeformer": CODEFORMER}
"""Restorer, in lower case -> its weights."""


def weights_wanted(config: RestoreConfig) -> list[tuple[ModelFile, str | None]]:
    """The files that the restorer needs, each with the path in the configuration."""
    model = PUBLISHED.get(config.name.lower())
    return [] if model is None or config.when == "never" else [(model, config.checkpoint)]


def load_restorer(
    config: RestoreConfig, execution: Execution, *, folders: Sequence[str | Path] = ()
) -> Restorer:
    """Loads the restorer that ``restore.name`` names.

    folders: additional folders with weights; see weights.find. Raises UnknownPluginError, or any
    LatentSyncError of its loader.
    """
    load: RestorerLoader = find_plugin("restorer", config.name, RESTORERS)
    for model, explicit in weights_wanted(config):
        config = replace(config, checkpoint=str(find(model, explicit, folders=folders)))
    return load(config, execution)
