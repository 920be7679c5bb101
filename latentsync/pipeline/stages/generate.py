"""Pass 2, lip-sync: chunks of frames and their windows of speech go through the generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import torch

from latentsync.face import upstream
from latentsync.face.align import ALIGNED_HEIGHT, ALIGNED_WIDTH, UPSTREAM_RESOLUTION
from latentsync.generate.base import LipGenerator
from latentsync.pipeline.plan import FilmPlan
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.restore.mouth import extract
from latentsync.types import Chunk, Frame, Patch, PatchedFrame

Heard = tuple[Frame, torch.Tensor]


class GenerateStage:
    """Frames in, frames with a generated mouth out, in order; others pass as they are.

    mask: (560, 420) float32, aligned crop, 1 where the generated mouth is shown. fill: whether a
    short chunk is filled up with its own frames in reverse, so that its statistics are not odd.
    upstream_crops: crops cut and rounded exactly as LatentSync does.
    """

    def __init__(
        self,
        generator: LipGenerator,
        plan: FilmPlan,
        mask: np.ndarray,
        *,
        fill: bool,
        upstream_crops: bool,
    ) -> None:
        self.generator, self.plan, self.fill = generator, plan, fill
        self.upstream_crops = upstream_crops
        self._square = square(generator.size)
        self._mask = _resized(mask, generator.size)

    def __call__(
        self, frames: Iterable[Frame], windows: Iterator[torch.Tensor], *, clock: StageTimer
    ) -> Iterator[PatchedFrame]:
        """windows: (tokens, C) for each frame of the plan that is spoken to, in order."""
        waiting: list[Heard] = []
        number = -1
        for frame in frames:
            chunk = int(self.plan.chunks[frame.index])
            if chunk != number and waiting:
                yield from self._generate(number, waiting, clock)
                waiting = []
            number = chunk
            with clock.stage("listen"):
                window = next(windows, None)
            if chunk < 0:
                yield PatchedFrame(frame)
            else:
                assert window is not None, "a chunk holds only frames during which there is speech"
                waiting.append((frame, window))
        if waiting:
            yield from self._generate(number, waiting, clock)

    def _generate(
        self, number: int, heard: Sequence[Heard], clock: StageTimer
    ) -> Iterator[PatchedFrame]:
        with clock.stage("generate"):
            matrices = [self._alignment_matrix(frame) for frame, _ in heard]
            crops = torch.stack(
                [self._crop(f, m) for (f, _), m in zip(heard, matrices, strict=True)]
            )
            audio = torch.stack([window.cpu() for _, window in heard])
            filled = _filled(len(heard), self.generator.chunk_frames if self.fill else 0)
            numbers = np.array([frame.index for frame, _ in heard])
            chunk = Chunk(number, crops[filled], audio[filled], numbers[filled])
            mouths = self.generator(chunk)[: len(heard)]
        for (frame, _), matrix, mouth in zip(heard, matrices, mouths, strict=True):
            yield PatchedFrame(frame, (Patch(mouth, self._to_square(matrix), self._mask),))

    def _alignment_matrix(self, frame: Frame) -> np.ndarray:
        alignment = self.plan.alignment(frame.index)
        assert alignment is not None, "a chunk holds only frames with a face"
        return alignment.matrix

    def _to_square(self, matrix: np.ndarray) -> np.ndarray:
        """(2, 3) frame -> aligned crop, to frame -> the generator's square."""
        return self._square @ np.vstack([matrix, [0, 0, 1]])

    def _crop(self, frame: Frame, matrix: np.ndarray) -> torch.Tensor:
        size = self.generator.size
        if not self.upstream_crops:
            return extract(frame.pixels, self._to_square(matrix), (size, size))
        matrix = matrix * (size / UPSTREAM_RESOLUTION)
        crop = upstream.square_face(upstream.warp_crop(frame.pixels, matrix, size), size)
        return torch.from_numpy(crop).permute(2, 0, 1).float() / 127.5 - 1


def square(size: int) -> np.ndarray:
    """(2, 3) float64: pixels of the aligned crop -> pixels of the square it is stretched to."""
    matrix = np.array([[size / ALIGNED_WIDTH, 0, 0], [0, size / ALIGNED_HEIGHT, 0]])
    # Pixel centres: aligned pixel 0 covers the same ground as the square's first pixels.
    matrix[:, 2] = (matrix[:, :2].sum(axis=1) - 1) / 2
    return matrix


def _filled(frames: int, wanted: int) -> np.ndarray:
    """(max(frames, wanted),) int: 0, 1, ... frames - 1, then back and forth."""
    period = max(1, 2 * (frames - 1))
    place = np.arange(max(frames, wanted)) % period
    return np.where(place < frames, place, period - place)


def _resized(mask: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR)
