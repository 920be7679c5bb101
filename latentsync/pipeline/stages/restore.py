"""Pass 2, restoration: restores the mouths of a batch of frames, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import torch

from latentsync.errors import CheckpointError
from latentsync.face.composite import composite
from latentsync.geometry import frame_scale
from latentsync.pipeline.concurrency import places
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.restoration.base import Moment, Restorer, Steadiable, SteadyRestorer, Windowed
from latentsync.restoration.patch import PatchGeometry, PatchWindow
from latentsync.restoration.strength import MatchedStrengths
from latentsync.restoration.temporal import LONGEST, Mouth, ResidualReuse, ResidualSmoother
from latentsync.restoration.warping_error import FlickerMeter
from latentsync.runtime.memory import to_host
from latentsync.settings.schema import RestoreConfig
from latentsync.tone import extract_levels
from latentsync.types import Frame, Patch, PatchedFrame


class RestoreStage:
    """Adds a patch to each frame that the plan selects for restoration; keeps the order.

    The input is the frame with the patches that it already has. restorer: track -> its restorer;
    a Windowed one restores only the part that will show. size: side of the restorers' square; None:
    the mouth box. config: its batch is the number of faces that are restored at once, at most; it
    does not change the result. matched: the strengths of tracks where restore.strength is auto;
    None: full strength, as with restorers that are tuned to the same goal.
    """

    def __init__(
        self,
        restorer: Callable[[int], Restorer],
        plan: RenderPlan,
        config: RestoreConfig,
        device: torch.device,
        *,
        size: int | None,
        matched: MatchedStrengths | None = None,
    ) -> None:
        self.plan, self.config, self.device, self._matched = plan, config, device, matched
        self._restorers, self._size = restorer, size
        self._track: int | None = None
        self._previous = -2
        self._smoother = ResidualSmoother(config.temporal)
        self._reuse = ResidualReuse(config.reuse if size else 0.0)
        self.flicker = FlickerMeter()

    @property
    def reused(self) -> int:
        """Number of frames so far that reuse the restoration of an earlier frame."""
        return self._reuse.reused

    def __call__(
        self, frames: Iterable[PatchedFrame], *, timer: StageTimer
    ) -> Iterator[PatchedFrame]:
        for batch in self._batches(frames):
            with timer.stage(Stage.RESTORE):
                restored = self._batch(batch)
            yield from restored

    def _batches(self, frames: Iterable[PatchedFrame]) -> Iterator[list[PatchedFrame]]:
        """Batches of one track each; smaller ones where the frames are large."""
        batch: list[PatchedFrame] = []
        for item in frames:
            if batch and self._track_of(item) != self._track_of(batch[-1]):
                yield batch
                batch = []
            batch.append(item)
            if sum(map(places, batch)) >= self.config.batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _batch(self, batch: Sequence[PatchedFrame]) -> list[PatchedFrame]:
        run = [item for item in batch if self.plan.strength[item.index] > 0]
        patches = self._run(self._track_of(run[0]), run) if run else {}
        return [
            replace(item, patches=(*item.patches, patches[item.index]))
            if item.index in patches
            else item
            for item in batch
        ]

    def _run(self, track: int, run: Sequence[PatchedFrame]) -> dict[int, Patch]:
        """Output frame -> the patch that restores it."""
        self._enter(track)
        mouths = [self._mouth(track, item) for item in run]
        changes = self._reuse(mouths, self._residuals)
        window, patches = self._window, {}
        for item, mouth, (change, matrix) in zip(run, mouths, changes, strict=True):
            crop = mouth.pixels if matrix is mouth.matrix else mouth.at(matrix)
            strength = float(self.plan.strength[item.index]) * self._strength
            added = self._stabilise(mouth, change, crop) * strength
            self.flicker(mouth.number, window.cut(crop), added)
            patches[item.index] = Patch(
                added, window.matrix(matrix), window.mask, additive=True, track=track
            )
        return patches

    def _track_of(self, item: PatchedFrame) -> int:
        return int(self.plan.track[item.index])

    def _mouth(self, track: int, item: PatchedFrame) -> Mouth:
        geometry = self.plan.tracks[track].geometry
        matrix = geometry.matrix(self.plan.matrices[item.index])
        cut_out = partial(crop_of, item, size=geometry.size)
        jumps = bool(self.plan.jumps[item.index])
        first, self._previous = jumps or item.index != self._previous + 1, item.index
        return Mouth(item.index, cut_out(matrix), matrix, cut_out, first)

    def _residuals(self, mouths: Sequence[Mouth]) -> torch.Tensor:
        """N mouths -> (N, 3, h', w'), what to add where the patch shows."""
        pixels = torch.stack([mouth.pixels for mouth in mouths])
        return self._changes(pixels, [Moment(mouth.number, mouth.first) for mouth in mouths])

    def _changes(
        self, mouths: torch.Tensor, moments: Sequence[Moment] | None = None
    ) -> torch.Tensor:
        """See _residuals. moments: of the mouths; None: each by itself, and none is remembered."""
        # On a CPU a batch saves no time, and its sums may be rounded differently.
        most = 1 if self.device.type == "cpu" else self.config.batch
        changes = []
        for start in range(0, len(mouths), most):
            part = mouths[start : start + most].to(self.device)
            then = None if moments is None else moments[start : start + most]
            changes.append(self._window.residuals(self._restored(part, then), part))
        return to_host(torch.cat(changes).to(mouths.dtype))

    def _restored(self, mouths: torch.Tensor, moments: Sequence[Moment] | None) -> torch.Tensor:
        """Raises CheckpointError for a wrong shape, NaN or infinity."""
        steady = None if moments is None else self._steady
        restored = (
            self._restorer(mouths) if steady is None or moments is None else steady(mouths, moments)
        )
        name = getattr(self._restorer, "name", type(self._restorer).__name__)
        if restored.shape != mouths.shape:
            remedy = f"{tuple(restored.shape)}, not {tuple(mouths.shape)}"
            raise CheckpointError("the restorer returned a wrong shape", name, remedy)
        if not _all_finite(restored):
            remedy = "try runtime.precision=fp32, or other weights"
            raise CheckpointError("NaN or infinity in a restored mouth", name, remedy)
        return restored

    def _enter(self, track: int) -> None:
        """Prepares window and restorer for the track, once."""
        if track == self._track:
            return
        self._track, self._previous = track, -2
        mask = self.plan.tracks[track].geometry.mask
        self._window = PatchWindow.of(mask, highpass_sigma=self._highpass_sigma())
        self._reuse.enter(mask)
        self.flicker.enter(track, self._window.mask)
        restorer = self._restorers(track)
        if isinstance(restorer, Windowed):
            restorer = restorer.within(self._window.needed)
        self._restorer = restorer
        self._steady: SteadyRestorer | None = None
        if isinstance(restorer, Steadiable) and self.config.code_margin:
            self._steady = restorer.steadied(self.config.code_margin, longest=LONGEST)
        self._strength = self._strength_of(track)

    def _strength_of(self, track: int) -> float:
        configured = self.config.strength
        if isinstance(configured, int | float):
            return configured
        if self._matched is None:
            return 1.0
        planned = self.plan.tracks[track]
        frames_per_aligned = np.median(frame_scale(self.plan.matrices[self.plan.track == track]))
        scale = 1 / float(frame_scale(planned.geometry.from_aligned) * frames_per_aligned)
        return self._matched.of(track, planned.blur, self._changes, self._window, scale)

    def _stabilise(self, mouth: Mouth, change: torch.Tensor, crop: torch.Tensor) -> torch.Tensor:
        if mouth.first:
            self._smoother.reset()
        return self._smoother(change, crop, self._window.shown)

    def _highpass_sigma(self) -> float:
        """Sigma [patch pixels]: lower frequencies of the residual, colour and brightness, go."""
        return self._size / 56 if self._size else 0.0


def _all_finite(images: torch.Tensor) -> bool:
    """The sum, which takes a tenth of the time, is finite only where each number is."""
    return bool(images.sum().isfinite()) or bool(images.isfinite().all())


def mouth_of(item: PatchedFrame, geometry: PatchGeometry, matrix: np.ndarray) -> torch.Tensor:
    """(3, h, w) float32 RGB [-1, 1]: the mouth as the restorer's input.

    matrix: (2, 3), frame -> aligned crop.
    """
    return crop_of(item, geometry.matrix(matrix), geometry.size)


def crop_of(item: PatchedFrame, matrix: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """(3, h, w) float32 RGB [-1, 1]: the frame with its patches, each resampled once.

    matrix: (2, 3), frame -> crop.
    """
    crop = extract_levels(item.frame, matrix, size)
    if not item.patches:
        return crop
    dtype = item.frame.pixels.dtype
    half = np.iinfo(dtype).max / 2
    levels = ((crop + 1) * half).round().permute(1, 2, 0).numpy()
    below = Frame(0, 0.0, 0, np.ascontiguousarray(levels.astype(dtype)))
    back = np.vstack([cv2.invertAffineTransform(matrix), [0, 0, 1]])
    patches = [replace(patch, matrix=patch.matrix @ back) for patch in item.patches]
    pixels = composite(below, patches)
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / half - 1
