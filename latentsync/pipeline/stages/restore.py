"""Pass 2, restoration: the mouths of a batch of frames go through the restorer, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import torch

from latentsync.face.composite import composite
from latentsync.pipeline.decide import Decision
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.teacher import Teacher
from latentsync.restore.base import Fittable, Restorer, Tunable, Windowed
from latentsync.restore.detail import Detail
from latentsync.restore.mouth import extract
from latentsync.restore.reuse import Mouth, ResidualReuse
from latentsync.restore.site import Site
from latentsync.restore.stability import ResidualSmoother
from latentsync.schema import RestoreConfig
from latentsync.types import Frame, Patch, PatchedFrame

FIRST_LOOK = 24
"""Frames of a track that are held until a restorer has learnt from them; 150 MB at 1080p."""


class RestoreStage:
    """Patched frames in and out, in order; a patch more where the decision says so.

    What is restored is the mouth that the patches below already show, or the frame's own. restorer:
    as loaded; one that is Tunable is tuned once for each track, one that is Windowed is told once
    for each track what will show. teacher: teaches one that is Fittable, once for each track, from
    the first mouths that it is to restore.
    """

    def __init__(
        self,
        restorer: Restorer,
        plan: FilmPlan,
        config: RestoreConfig,
        device: torch.device,
        decision: Decision,
        teacher: Teacher | None = None,
    ) -> None:
        self.plan, self.config, self.device, self.decision = plan, config, device, decision
        self._loaded, self._teacher = restorer, teacher
        self._fitted: dict[int, Restorer] = {}
        self._track: int | None = None
        self._previous = -2
        self._restorer = restorer
        self._smoother = ResidualSmoother(config.temporal if restorer.size else 0.0)
        self._reuse = ResidualReuse(config.reuse if restorer.size else 0.0)

    @property
    def reused(self) -> int:
        """Frames so far whose mouth took the restoration of an earlier frame."""
        return self._reuse.reused

    def __call__(
        self, frames: Iterable[PatchedFrame], *, clock: StageTimer
    ) -> Iterator[PatchedFrame]:
        for batch in self._batches(frames):
            with clock.stage("restore"):
                restored = self._batch(batch)
            yield from restored

    def _batches(self, frames: Iterable[PatchedFrame]) -> Iterator[list[PatchedFrame]]:
        """Of one track each; the first of a track is longer where it is learnt from."""
        batch: list[PatchedFrame] = []
        last = None
        for item in frames:
            alignment = self.plan.alignment(item.frame.index)
            track = None if alignment is None else alignment.track
            if batch and track != last:
                yield batch
                batch = []
            batch.append(item)
            last = track
            to_learn = isinstance(self._loaded, Fittable) and track not in self._fitted
            if len(batch) >= (FIRST_LOOK if to_learn and track is not None else self.config.batch):
                yield batch
                batch = []
        if batch:
            yield batch

    def _batch(self, batch: Sequence[PatchedFrame]) -> list[PatchedFrame]:
        weights = self.decision.weights(batch)
        patches: dict[int, Patch] = {}
        for track, run in self._runs(batch, weights).items():
            patches.update(self._run(track, run, weights))
        return [
            replace(item, patches=(*item.patches, patches[i]), restored=float(weights[i]))
            if i in patches
            else item
            for i, item in enumerate(batch)
        ]

    def _runs(
        self, batch: Sequence[PatchedFrame], weights: np.ndarray
    ) -> dict[int, list[tuple[int, PatchedFrame]]]:
        """By track: the frames to restore and their places in the batch."""
        runs: dict[int, list[tuple[int, PatchedFrame]]] = {}
        for i, item in enumerate(batch):
            alignment = self.plan.alignment(item.frame.index)
            if alignment is not None and weights[i] > 0:
                runs.setdefault(alignment.track, []).append((i, item))
        return runs

    def _run(
        self, track: int, run: Sequence[tuple[int, PatchedFrame]], weights: np.ndarray
    ) -> dict[int, Patch]:
        mouths = [self._mouth(track, item) for _, item in run]
        self._enter(track, mouths)
        changes = self._reuse(mouths, self._residuals)
        site, patches = self._site, {}
        for (i, _), mouth, (change, matrix) in zip(run, mouths, changes, strict=True):
            same = matrix is mouth.matrix or not self.config.temporal
            crop = mouth.pixels if same else mouth.at(matrix)
            stable = self._stabilise(mouth.number, change, crop)
            weight = float(weights[i]) * self.config.strength
            patches[i] = Patch(stable * weight, site.matrix(matrix), site.mask, additive=True)
        return patches

    def _mouth(self, track: int, item: PatchedFrame) -> Mouth:
        geometry = self.plan.tracks[track].geometry
        matrix = geometry.matrix(self._alignment_matrix(item))
        cut_out = partial(_crop, item, size=geometry.size)
        return Mouth(item.frame.index, cut_out(matrix), matrix, cut_out)

    def _residuals(self, mouths: torch.Tensor) -> torch.Tensor:
        """mouths: (N, 3, h, w) -> (N, 3, h', w'), what to add where the patch shows."""
        parts = [part.to(self.device) for part in mouths.split(self.config.batch)]
        changes = [self._site.residuals(self._restorer(part), part) for part in parts]
        return torch.cat(changes).to(mouths)

    def _alignment_matrix(self, item: PatchedFrame) -> np.ndarray:
        alignment = self.plan.alignment(item.frame.index)
        assert alignment is not None
        return alignment.matrix

    def _enter(self, track: int, mouths: Sequence[Mouth]) -> None:
        """Makes the restorer ready for the track, once. mouths: its first ones."""
        if track == self._track:
            return
        self._track = track
        mask = self.plan.tracks[track].geometry.mask
        self._site = Site.of(mask, low_cut=self._low_cut())
        self._smoother.reset()
        self._reuse.enter(mask)
        restorer = self._made_ready(track, mouths)
        if isinstance(restorer, Windowed):
            restorer = restorer.within(self._site.needed)
        self._restorer = restorer

    def _made_ready(self, track: int, mouths: Sequence[Mouth]) -> Restorer:
        energies = self.decision.energies(track)
        if isinstance(self._loaded, Fittable):
            if track not in self._fitted:
                assert self._teacher is not None, "nobody teaches who has to learn"
                stand_in = Detail().tuned(energies)
                crops = torch.stack([mouth.pixels for mouth in mouths])
                self._fitted[track] = self._teacher.teach(self._loaded, track, crops, stand_in)
            return self._fitted[track]
        return self._loaded.tuned(energies) if isinstance(self._loaded, Tunable) else self._loaded

    def _stabilise(self, index: int, change: torch.Tensor, crop: torch.Tensor) -> torch.Tensor:
        if index != self._previous + 1:
            self._smoother.reset()
        self._previous = index
        return self._smoother(change, crop, self._site.shown)

    def _low_cut(self) -> float:
        """Sigma [patch pixels] below which the input keeps its own colour and brightness."""
        return self._loaded.size / 56 if self._loaded.size else 0.0


def _crop(item: PatchedFrame, matrix: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """(3, h, w) float32 RGB [-1, 1]: the frame with its patches, each resampled once."""
    crop = extract(item.frame.pixels, matrix, size)
    if not item.patches:
        return crop
    levels = ((crop + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0)
    below = Frame(0, 0.0, 0, np.ascontiguousarray(levels.numpy()))
    back = np.vstack([cv2.invertAffineTransform(matrix), [0, 0, 1]])
    patches = [replace(patch, matrix=patch.matrix @ back) for patch in item.patches]
    pixels = composite(below, patches)
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1
