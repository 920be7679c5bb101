"""Pass 2: frames in, enhanced frames out. No stage holds more than a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from latentsync.face import upstream
from latentsync.face.align import UPSTREAM_RESOLUTION
from latentsync.face.composite import composite
from latentsync.pipeline.clock import Clock
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.stream import batched
from latentsync.restore.base import Restorer, Tunable
from latentsync.restore.mouth import extract
from latentsync.restore.residual import residual
from latentsync.restore.stability import ResidualSmoother
from latentsync.schema import RestoreConfig
from latentsync.types import AlignedFace, Alignment, Frame, Patch, PatchedFrame


def align(frames: Iterable[Frame], plan: FilmPlan) -> Iterator[AlignedFace]:
    """Each frame with its face. Raises IndexError when there are more frames than pass 1 saw."""
    for frame in frames:
        yield AlignedFace(frame, plan.survey.alignments[frame.index])


class RestoreStage:
    """Aligned faces in, patched frames out, in order; the mouth restored where the plan says so.

    restorer: as loaded; one that is Tunable is tuned once for each track.
    """

    def __init__(
        self, restorer: Restorer, plan: FilmPlan, config: RestoreConfig, device: torch.device
    ) -> None:
        self.plan, self.config, self.device = plan, config, device
        self._loaded = restorer
        self._track: int | None = None
        self._previous = -2
        self._restorer = restorer
        self._smoother = ResidualSmoother(config.temporal if restorer.size else 0.0)

    def __call__(self, faces: Iterable[AlignedFace], *, clock: Clock) -> Iterator[PatchedFrame]:
        for batch in batched(faces, self.config.batch):
            with clock.stage("restore"):
                patched = self._batch(batch)
            yield from patched

    def _batch(self, batch: Sequence[AlignedFace]) -> list[PatchedFrame]:
        patches: dict[int, Patch] = {}
        for run in self._runs(batch):
            patches.update(self._run(run))
        return [
            PatchedFrame(f.frame, (patches[f.frame.index],) if f.frame.index in patches else ())
            for f in batch
        ]

    def _runs(self, batch: Sequence[AlignedFace]) -> list[list[AlignedFace]]:
        """The faces to restore, one list for each track."""
        runs: dict[int, list[AlignedFace]] = {}
        for face in batch:
            if face.alignment is not None and self.plan.weights[face.frame.index] > 0:
                runs.setdefault(face.alignment.track, []).append(face)
        return list(runs.values())

    def _run(self, run: Sequence[AlignedFace]) -> dict[int, Patch]:
        alignments = [face.alignment for face in run if face.alignment is not None]
        self._enter(alignments[0].track)
        geometry = self.plan.tracks[alignments[0].track].geometry
        matrices = [geometry.matrix(alignment.matrix) for alignment in alignments]
        crops = torch.stack(
            [
                extract(face.frame.pixels, matrix, geometry.size)
                for face, matrix in zip(run, matrices, strict=True)
            ]
        )
        restored = self._restorer(crops.to(self.device)).to(crops)
        differences = residual(restored, crops, low_cut=self._low_cut())
        patches = {}
        for face, crop, difference, matrix in zip(run, crops, differences, matrices, strict=True):
            index = face.frame.index
            weight = float(self.plan.weights[index]) * self.config.strength
            stable = self._stabilise(index, difference, crop)
            patches[index] = Patch(stable * weight, matrix, geometry.mask, additive=True)
        return patches

    def _enter(self, track: int) -> None:
        """Makes the restorer ready for the track, once."""
        if track == self._track:
            return
        self._track = track
        self._smoother.reset()
        if isinstance(self._loaded, Tunable):
            self._restorer = self._loaded.tuned(self.plan.tracks[track].energies)

    def _stabilise(self, index: int, difference: torch.Tensor, crop: torch.Tensor) -> torch.Tensor:
        if index != self._previous + 1:
            self._smoother.reset()
        self._previous = index
        return self._smoother(difference, crop)

    def _low_cut(self) -> float:
        """Sigma [patch pixels] below which the input keeps its own colour and brightness."""
        return self._restorer.size / 56 if self._restorer.size else 0.0


def compose(patched: PatchedFrame) -> Frame:
    """The frame with its patches laid over it, inside each patch's bounding box only."""
    frame = patched.frame
    return replace(frame, pixels=composite(frame, patched.patches))


def compose_upstream(patched: PatchedFrame, alignment: Alignment | None) -> Frame:
    """The same content pasted as LatentSync does: the whole aligned crop, its edge feathered.

    Resamples the upper face as well, and is slow: a baseline to compare with.
    """
    if alignment is None or not patched.patches:
        return patched.frame
    crop = upstream.warp_crop(compose(patched).pixels, alignment.matrix, UPSTREAM_RESOLUTION)
    square = upstream.square_face(crop, UPSTREAM_RESOLUTION)
    face = torch.from_numpy(square).permute(2, 0, 1).float() / 127.5 - 1
    pixels = upstream.paste(patched.frame.pixels, face, alignment.matrix)
    return replace(patched.frame, pixels=pixels)


def side_by_side(before: Frame, after: Frame) -> Frame:
    """(H, W, 3) twice -> (H, 2 W, 3): before | after."""
    pixels = np.concatenate([before.pixels, after.pixels], axis=1)
    return replace(after, pixels=pixels)
