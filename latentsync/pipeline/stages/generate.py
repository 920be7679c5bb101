"""Pass 2, lip-sync: generates mouths from chunks of frames and their windows of speech."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import torch

from latentsync.errors import CheckpointError
from latentsync.face import upstream
from latentsync.generate.base import LipGenerator
from latentsync.geometry import extract, square
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.types import Chunk, Frame, Patch, PatchedFrame

Waiting = tuple[PatchedFrame, torch.Tensor | None]


class GenerateStage:
    """Adds a generated mouth to the frames of chunks, in order; other frames are unchanged.

    mask: (560, 420) float32, aligned crop, 1 where the generated mouth is shown. fill: whether a
    short chunk is padded with its own frames in reverse, to keep the network's statistics.
    as_upstream: crops and pastes exactly as LatentSync does. ready: chunk number -> mouths
    (F, 3, R, R) that were generated before; new ones are added while it holds less than ``keep``.
    """

    def __init__(
        self,
        generator: LipGenerator,
        plan: RenderPlan,
        mask: np.ndarray,
        *,
        fill: bool,
        as_upstream: bool,
        ready: dict[int, torch.Tensor] | None = None,
        keep: int = 0,
    ) -> None:
        self.generator, self.plan, self.fill = generator, plan, fill
        self.as_upstream = as_upstream
        self._ready, self._keep = {} if ready is None else ready, keep
        self._spans = plan.chunk_spans()
        self._square = square(generator.size)
        self._mask = _resized(mask, generator.size)

    def __call__(
        self, frames: Iterable[PatchedFrame], windows: Iterator[torch.Tensor], *, timer: StageTimer
    ) -> Iterator[PatchedFrame]:
        """frames: none, or all, of each chunk. windows: (tokens, C) for each frame of a chunk, in
        order."""
        waiting: list[Waiting] = []
        end = 0  # output frame at which the current chunk ends
        for item in frames:
            number = int(self.plan.chunk[item.index])
            window = None
            if number >= 0:
                with timer.stage(Stage.ENCODE_AUDIO):
                    window = next(windows)
                end = self._spans[number][1]
            if window is None and not waiting:
                yield item
                continue
            waiting.append((item, window))
            if item.index + 1 == end:
                yield from self._generated(waiting, timer)
                waiting = []

    def chunk(self, frames: Sequence[PatchedFrame], windows: Sequence[torch.Tensor]) -> Chunk:
        """frames: all of a chunk. windows: (tokens, C) for each."""
        number = int(self.plan.chunk[frames[0].index])
        crops = torch.stack([self._crop(item) for item in frames])
        audio = torch.stack([window.cpu() for window in windows])
        filled = _filled(len(frames), self.generator.chunk_frames if self.fill else 0)
        numbers = np.array([item.index for item in frames])
        return Chunk(number, crops[filled], audio[filled], numbers[filled])

    def patched(
        self, frames: Sequence[PatchedFrame], mouths: torch.Tensor
    ) -> Iterator[PatchedFrame]:
        """mouths: (F, 3, R, R), one for each frame."""
        for item, mouth in zip(frames, mouths, strict=True):
            patch = (
                _pasted(item.frame, mouth, self._upstream_matrix(item))
                if self.as_upstream
                else Patch(mouth, self._to_square(self._matrix(item)), self._mask)
            )
            yield PatchedFrame(item.index, item.frame, (*item.patches, patch))

    def _generated(self, waiting: Sequence[Waiting], timer: StageTimer) -> Iterator[PatchedFrame]:
        frames = [item for item, window in waiting if window is not None]
        with timer.stage(Stage.GENERATE):
            number = int(self.plan.chunk[frames[0].index])
            mouths = self._ready.get(number)
            if mouths is None:
                windows = [window for _, window in waiting if window is not None]
                mouths = self._generate(self.chunk(frames, windows))
                if len(self._ready) < self._keep:
                    self._ready[number] = mouths
        patched = self.patched(frames, mouths[: len(frames)])
        for item, window in waiting:
            yield item if window is None else next(patched)

    def _generate(self, chunk: Chunk) -> torch.Tensor:
        """Raises CheckpointError for a wrong shape, NaN or infinity."""
        mouths = self.generator(chunk)
        where = f"{self.generator.name}, chunk {chunk.index}"
        if mouths.shape != chunk.crops.shape:
            given, wanted = tuple(mouths.shape), tuple(chunk.crops.shape)
            what = "the generator returned a wrong shape"
            raise CheckpointError(what, where, f"{given}, not {wanted}")
        if not mouths.isfinite().all():
            remedy = "try runtime.precision=fp32, or other weights"
            raise CheckpointError("NaN or infinity in a generated mouth", where, remedy)
        return mouths

    def _matrix(self, item: PatchedFrame) -> np.ndarray:
        """(2, 3), frame -> aligned crop."""
        return self.plan.matrices[item.index]

    def _to_square(self, matrix: np.ndarray) -> np.ndarray:
        """(2, 3) frame -> aligned crop, to frame -> the generator's square."""
        return self._square @ np.vstack([matrix, [0, 0, 1]])

    def _upstream_matrix(self, item: PatchedFrame) -> np.ndarray:
        """(2, 3), frame -> aligned crop at the generator's size."""
        return upstream.from_aligned(self._matrix(item), self.generator.size)

    def _crop(self, item: PatchedFrame) -> torch.Tensor:
        """(3, R, R) float32 RGB [-1, 1]."""
        pixels, size = item.frame.pixels, self.generator.size
        if self.as_upstream:
            face = upstream.face_at(pixels, self._upstream_matrix(item), size)
            return upstream.network_input(face)
        return extract(pixels, self._to_square(self._matrix(item)), (size, size))


def _pasted(frame: Frame, face: torch.Tensor, matrix: np.ndarray) -> Patch:
    """The result of upstream's paste, cut to the pixels that it changes.

    face: (3, R, R) float. matrix: (2, 3), frame -> aligned crop at R.
    """
    pixels = upstream.paste(frame.pixels, face, matrix)
    changed = (pixels != frame.pixels).any(axis=2)
    x, y, width, height = cv2.boundingRect(changed.view(np.uint8))
    part = np.ascontiguousarray(pixels[y : y + height, x : x + width].transpose(2, 0, 1))
    here = np.array([[1, 0, -x], [0, 1, -y]], np.float64)
    everywhere = np.ones((height, width), np.float32)
    return Patch(torch.from_numpy(part).float() / 127.5 - 1, here, everywhere)


def _filled(frames: int, wanted: int) -> np.ndarray:
    """(max(frames, wanted),) int: 0, 1, ... frames - 1, then back and forth."""
    period = max(1, 2 * (frames - 1))
    place = np.arange(max(frames, wanted)) % period
    return np.where(place < frames, place, period - place)


def _resized(mask: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR)
