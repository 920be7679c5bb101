"""Pass 2, lip-sync: generates mouths from chunks of frames and their windows of speech."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch

from latentsync.errors import CheckpointError
from latentsync.face import upstream
from latentsync.generate.base import Boxed, ChunkMouths, LipGenerator
from latentsync.geometry import resampled
from latentsync.pipeline.planning.linked_chunks import LinkedChunk, due_after, to_denoise
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.squares import NO_TRACK, Squares
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.tone import extract_levels, sdr
from latentsync.types import Chunk, Frame, Patch, PatchedFrame

ClosedMouth = Callable[[int, torch.Tensor], torch.Tensor | None]
"""Number of an output frame and its crop (3, R, R) -> the crop with a closed mouth, or None."""
Waiting = tuple[PatchedFrame, torch.Tensor | None]
Edges = tuple[Any, Any]
"""``first`` and ``last`` of ChunkMouths."""


@dataclass(slots=True, eq=False)
class _Progress:
    """What one call of the stage has generated so far.

    done: numbers of chunks. mouths: by output frame, of those that were not yielded yet. anchors:
    by number, what their neighbours need of the latest two.
    """

    done: set[int] = field(default_factory=set)
    mouths: dict[int, torch.Tensor] = field(default_factory=dict)
    anchors: dict[int, Edges] = field(default_factory=dict)

    def add(self, link: LinkedChunk, number: int, frames: Sequence[int], made: ChunkMouths) -> None:
        """frames: that the chunk is denoised with."""
        first, end = link.determined
        determined = [index for index in frames if first <= index < end]
        mouths = made.mouths[: len(determined)]  # padding comes last
        self.mouths.update(zip(determined, mouths, strict=True))
        self.done.add(number)
        if link.anchor and link.neighbours:
            latest = {n: edges for n, edges in self.anchors.items() if n >= number - 2}
            self.anchors = {**latest, number: (made.first, made.last)}


class GenerateStage:
    """Adds a generated mouth to the frames of chunks, in order; other frames are unchanged.

    wanted: output frames that get a mouth, all of each chunk; those that linked_chunks.with_lead_in
    adds are only generated as far as these need it, and pass unchanged. Where plan.shown or
    plan.visible is 0 in all of a chunk, it is not generated.
    mask: (560, 420) float32, aligned crop, 1 where the generated mouth is shown. fill: whether a
    short chunk is padded with its own frames in reverse, to keep the network's statistics.
    as_upstream: crops and pastes exactly as LatentSync does. closed: replaces mouths as far as
    plan.closed says. ready: chunk number -> what was generated before; new chunks are added while
    it holds less than ``keep``. squares: of the generator; None: the aligned crops.
    """

    def __init__(
        self,
        generator: LipGenerator,
        plan: RenderPlan,
        wanted: np.ndarray,
        mask: np.ndarray,
        *,
        fill: bool,
        as_upstream: bool,
        closed: ClosedMouth | None = None,
        ready: dict[int, ChunkMouths] | None = None,
        keep: int = 0,
        squares: Squares | None = None,
    ) -> None:
        self.generator, self.plan, self.fill = generator, plan, fill
        self.as_upstream, self._closed = as_upstream, closed
        self._ready, self._keep = {} if ready is None else ready, keep
        self._wanted = np.zeros(len(plan), bool)
        self._wanted[wanted] = True
        self._linked = plan.linked_chunks()
        seen = wanted if plan.overlap else wanted[(plan.shown * plan.visible)[wanted] > 0]
        numbers = np.unique(plan.chunk[seen])
        self._needed = to_denoise(self._linked, numbers[numbers >= 0].tolist())
        self._squares = squares or Squares(generator.size)
        self._region, self._masks = mask, dict[int, np.ndarray]()

    def __call__(
        self, frames: Iterable[PatchedFrame], windows: Iterator[torch.Tensor], *, timer: StageTimer
    ) -> Iterator[PatchedFrame]:
        """frames: the wanted ones with their lead-in. windows: (tokens, C) for each frame of a
        chunk, in order."""
        waiting: deque[Waiting] = deque()
        progress, due = _Progress(), due_after(self._linked, self._needed)
        for item in frames:
            window = None
            if self.plan.chunk[item.index] >= 0:
                with timer.stage(Stage.ENCODE_AUDIO):
                    window = next(windows)
            waiting.append((item, window))
            for number in due.get(item.index, ()):
                with timer.stage(Stage.GENERATE):
                    self._generate(number, waiting, progress)
            yield from self._complete(waiting, progress)

    def _complete(self, waiting: deque[Waiting], progress: _Progress) -> Iterator[PatchedFrame]:
        """Removes the first frames up to one whose chunk is still to be generated.

        By then every other chunk that shares the frame is generated as well: an anchor before it
        comes earlier, a bridge before it at the same frame; see due_after.
        """
        while waiting:
            item = waiting[0][0]
            number = int(self.plan.chunk[item.index])
            if number in self._needed and number not in progress.done:
                return
            waiting.popleft()
            mouth = progress.mouths.pop(item.index, None)
            laid = mouth is not None and self._wanted[item.index] and self._shown(item) > 0
            yield self._patched(item, mouth) if mouth is not None and laid else item

    def _generate(self, number: int, waiting: Iterable[Waiting], progress: _Progress) -> None:
        """waiting: holds all frames of the chunk."""
        link = self._linked[number]
        begin, end = link.span
        inside = [one for one in waiting if begin <= one[0].index < end and one[1] is not None]
        made = self._ready.get(number)
        if made is None:
            made = self._generated(link, self._chunk(number, inside), progress.anchors)
            if len(self._ready) < self._keep:
                self._ready[number] = made
        progress.add(link, number, [item.index for item, _ in inside], made)

    def _chunk(self, number: int, frames: Sequence[Waiting]) -> Chunk:
        """frames: all that the chunk is denoised with, each with its window."""
        crops = torch.stack([self._crop(item) for item, _ in frames])
        audio = torch.stack([window.cpu() for _, window in frames if window is not None])
        filled = _filled(len(frames), self.generator.chunk_frames if self.fill else 0)
        numbers = np.array([item.index for item, _ in frames])
        return Chunk(number, crops[filled], audio[filled], numbers[filled])

    def _patched(self, item: PatchedFrame, mouth: torch.Tensor) -> PatchedFrame:
        """mouth: (3, R, R)."""
        track = int(self.plan.track[item.index])
        if self.as_upstream:
            patch = _pasted(item.frame, mouth, self._upstream_matrix(item), track)
        else:
            mouth, shown = self._with_pauses(item, mouth), self._shown(item)
            mask = self._mask(track)
            mask = mask if shown == 1 else mask * np.float32(shown)
            patch = Patch(mouth, self._to_square(item), mask, track=track)
        return PatchedFrame(item.index, item.frame, (*item.patches, patch))

    def _with_pauses(self, item: PatchedFrame, mouth: torch.Tensor) -> torch.Tensor:
        """The mouth, or in a pause a closed one, where the person has one for this head pose."""
        share = float(self.plan.closed[item.index])
        if not share or self._closed is None:
            return mouth
        closed = self._closed(item.index, self._aligned_crop(item))
        return mouth if closed is None else mouth + share * (self._in_box(item, closed) - mouth)

    def _shown(self, item: PatchedFrame) -> float:
        return float(self.plan.shown[item.index])

    def _generated(
        self, link: LinkedChunk, chunk: Chunk, anchors: Mapping[int, Edges]
    ) -> ChunkMouths:
        """anchors: by number. Raises CheckpointError for a wrong shape, NaN or infinity."""
        generator: Any = self.generator  # it is Overlapping where chunks have neighbours
        frames, before, after = len(chunk.crops), link.before, link.after
        if before is None and after is None:
            made = ChunkMouths(generator(chunk))
        elif link.anchor or before is None:
            frames = link.determined[1] - link.determined[0]
            made = generator.anchor(chunk, first=before is not None, last=after is not None)
        else:
            (_, last), first = anchors[before], None if after is None else anchors[after][0]
            made = ChunkMouths(generator.bridge(chunk, last, first))
        self._verify(made.mouths, (frames, *chunk.crops.shape[1:]), chunk.index)
        return made

    def _verify(self, mouths: torch.Tensor, shape: tuple[int, ...], number: int) -> None:
        where = f"{self.generator.name}, chunk {number}"
        if mouths.shape != shape:
            what = "the generator returned a wrong shape"
            raise CheckpointError(what, where, f"{tuple(mouths.shape)}, not {shape}")
        if not mouths.isfinite().all():
            remedy = "try runtime.precision=fp32, or other weights"
            raise CheckpointError("NaN or infinity in a generated mouth", where, remedy)

    def _matrix(self, item: PatchedFrame) -> np.ndarray:
        """(2, 3), frame -> aligned crop."""
        return self.plan.matrices[item.index]

    def _to_square(self, item: PatchedFrame) -> np.ndarray:
        """(2, 3), frame -> the generator's square."""
        return self._squares.matrix(self._matrix(item), int(self.plan.track[item.index]))

    def _mask(self, track: int) -> np.ndarray:
        """(R, R) float32, of the generator's square."""
        if track not in self._masks:
            self._masks[track] = self._new_mask(track)
        return self._masks[track]

    def _new_mask(self, track: int) -> np.ndarray:
        generator, size = self.generator, self.generator.size
        if not isinstance(generator, Boxed):
            return cv2.resize(self._region, (size, size), interpolation=cv2.INTER_LINEAR)
        matrix = self._squares.of_aligned(track)
        return cv2.warpAffine(self._region, matrix, (size, size)) * generator.mask

    def _upstream_matrix(self, item: PatchedFrame) -> np.ndarray:
        """(2, 3), frame -> aligned crop at the generator's size."""
        return upstream.from_aligned(self._matrix(item), self.generator.size)

    def _crop(self, item: PatchedFrame) -> torch.Tensor:
        """(3, R, R) float32 RGB [-1, 1]."""
        size = self.generator.size
        if self.as_upstream:
            face = upstream.face_at(sdr(item.frame).pixels, self._upstream_matrix(item), size)
            return upstream.network_input(face)
        return extract_levels(item.frame, self._to_square(item), (size, size))

    def _aligned_crop(self, item: PatchedFrame) -> torch.Tensor:
        """(3, R, R) float32 RGB [-1, 1], all of the aligned crop."""
        size = self.generator.size
        matrix = Squares(size).matrix(self._matrix(item), NO_TRACK)
        return extract_levels(item.frame, matrix, (size, size))

    def _in_box(self, item: PatchedFrame, crop: torch.Tensor) -> torch.Tensor:
        """crop: (3, R, R), of the aligned crop -> the same place as the mouths."""
        if not isinstance(self.generator, Boxed):
            return crop
        size, track = self.generator.size, int(self.plan.track[item.index])
        back = np.linalg.inv(np.vstack([Squares(size).of_aligned(NO_TRACK), [0, 0, 1]]))
        return resampled(crop, self._squares.of_aligned(track) @ back, (size, size))


def _pasted(frame: Frame, face: torch.Tensor, matrix: np.ndarray, track: int) -> Patch:
    """The result of upstream's paste, cut to the pixels that it changes.

    face: (3, R, R) float. matrix: (2, 3), frame -> aligned crop at R.
    """
    below = sdr(frame).pixels
    pixels = upstream.paste(below, face, matrix)
    changed = (pixels != below).any(axis=2)
    x, y, width, height = cv2.boundingRect(changed.view(np.uint8))
    part = np.ascontiguousarray(pixels[y : y + height, x : x + width].transpose(2, 0, 1))
    here = np.array([[1, 0, -x], [0, 1, -y]], np.float64)
    everywhere = np.ones((height, width), np.float32)
    return Patch(torch.from_numpy(part).float() / 127.5 - 1, here, everywhere, track=track)


def _filled(frames: int, wanted: int) -> np.ndarray:
    """(max(frames, wanted),) int: 0, 1, ... frames - 1, then back and forth."""
    period = max(1, 2 * (frames - 1))
    place = np.arange(max(frames, wanted)) % period
    return np.where(place < frames, place, period - place)
