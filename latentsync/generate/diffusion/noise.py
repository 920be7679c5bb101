"""The random noise of each chunk: a function of the seed and the chunk's number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from latentsync.errors import ConfigError
from latentsync.generate.coding import CHANNELS

if TYPE_CHECKING:
    from latentsync.types import Chunk

STATE_EVERY = 64  # chunks between saved states; a state takes 5 kB on a CPU, a chunk's noise 2 ms
UNKNOWN = -1  # position of the random generator after a failure

NoiseOf = Callable[["Chunk"], "Noise"]


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """The noise of one chunk; standard normal.

    initial: (1, 4, 1, r, r), the same for all frames of a video: it determines what the conditions
        leave open, so that different noise would be visible where chunks meet.
    masked, reference: (F, 4, r, r), for sampling the VAE's two posteriors.
    """

    initial: Tensor
    masked: Tensor
    reference: Tensor


class UpstreamNoise:
    """The noise of a video's chunks, exactly as upstream samples it on the same device.

    One sequence, as after torch.manual_seed(seed) (lipsync_pipeline.py:177-229): later chunks
    depend on the length of the earlier ones. Chunks can be sampled in any order, repeatedly and
    from any thread: the random generator returns to a saved state. The next chunk is the cheapest;
    any other repeats the samples of at most STATE_EVERY - 1 chunks, or of all that were never
    sampled. The global random generator is not used.
    """

    def __init__(
        self,
        seed: int,
        frame_counts: Sequence[int],
        side: int,
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """frame_counts: of every chunk of the video, in order. side: r."""
        self._counts, self._side, self._dtype = tuple(frame_counts), side, dtype
        self._turn = threading.Lock()
        self._generator = torch.Generator(device).manual_seed(seed)
        self._initial = self._draw(1, CHANNELS, 1, side, side)
        self._states = {0: self._generator.get_state()}  # chunk -> the state before its first draw
        self._next = 0

    def frames(self, index: int) -> int:
        """Number of frames of chunk `index`; 0: there is no such chunk."""
        return self._counts[index] if 0 <= index < len(self._counts) else 0

    def __call__(self, index: int) -> Noise:
        """The noise of chunk `index`. Raises IndexError where there is no such chunk."""
        if not self.frames(index):
            raise IndexError(f"chunk {index} of {len(self._counts)}")
        with self._turn:
            self._go_to(index)
            masked, reference = self._draw_chunk()
        return Noise(self._initial, masked, reference)

    def _go_to(self, index: int) -> None:
        if self._next != index:
            self._next = max(known for known in self._states if known <= index)
            self._generator.set_state(self._states[self._next])
        while self._next < index:
            self._draw_chunk()

    def _draw_chunk(self) -> tuple[Tensor, Tensor]:
        number, self._next = self._next, UNKNOWN  # in case sampling fails, e.g. out of memory
        if number % STATE_EVERY == 0:
            self._states[number] = self._generator.get_state()
        shape = self._counts[number], CHANNELS, self._side, self._side
        drawn = self._draw(*shape), self._draw(*shape)
        self._next = number + 1
        return drawn

    def _draw(self, *shape: int) -> Tensor:
        generator = self._generator
        return torch.randn(shape, generator=generator, device=generator.device, dtype=self._dtype)


def upstream_noise(
    seed: int,
    frame_counts: Iterable[int],
    side: int,
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Noise]:
    """The noise of all chunks in order; see UpstreamNoise."""
    counts = tuple(frame_counts)
    noise = UpstreamNoise(seed, counts, side, device=device, dtype=dtype)
    return map(noise, range(len(counts)))


def per_chunk_noise(
    seed: int,
    index: int,
    frames: int,
    side: int,
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Noise:
    """The noise of chunk `index`: a function of the seed and the index alone.

    Chunks can be generated in any order and on several machines. Sampled on the CPU in float32:
    the same for every device, but for the rounding to `dtype`. side: r. seed: 0 or more.
    """

    def draw(*shape: int, key: tuple[int, ...]) -> Tensor:
        state = np.random.SeedSequence(key).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        return torch.randn(shape, generator=generator).to(device, dtype)

    initial = draw(1, CHANNELS, 1, side, side, key=(seed,))
    both = draw(2, frames, CHANNELS, side, side, key=(seed, 1 + index))
    return Noise(initial, both[0], both[1])


def noise_by_chunk(seed: int, side: int, device: torch.device) -> NoiseOf:
    """See per_chunk_noise."""
    return lambda chunk: per_chunk_noise(seed, chunk.index, len(chunk.crops), side, device=device)


def unprepared(_chunk: Chunk) -> Noise:
    """The noise in LatentSync's order before the chunks are known. Raises RuntimeError."""
    raise RuntimeError("noise in LatentSync's order depends on all chunks: call prepare(request)")


def noise_in_order(noise: UpstreamNoise) -> NoiseOf:
    """The noise of a prepared video. It raises ConfigError for a chunk of another length."""

    def noise_of(chunk: Chunk) -> Noise:
        frames, planned = len(chunk.crops), noise.frames(chunk.index)
        if frames != planned:
            raise ConfigError(
                "compat=upstream needs the chunks that were planned",
                f"chunk {chunk.index} of {frames} frames, where {planned} were planned",
                "plan the video again",
            )
        return noise(chunk.index)

    return noise_of
