"""All that is left to chance in a video: for each chunk a function of the seed and its number."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CHANNELS = 4  # of a latent

STATE_EVERY = 64  # chunks; a state of the CPU's generator takes 5 kB, a chunk's numbers 2 ms
UNKNOWN = -1  # where the generator stands


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """All that is left to chance in one chunk; standard normal.

    initial: (1, 4, 1, r, r), the same for all frames of a video: it sets what does not come from
        the conditions, so that another one would make a jump at the chunk's edge.
    masked, reference: (F, 4, r, r), of the VAE's two posteriors.
    """

    initial: Tensor
    masked: Tensor
    reference: Tensor


class UpstreamNoise:
    """The noise of a video's chunks, number for number as upstream draws it, on the same device.

    One sequence, as after torch.manual_seed(seed) (lipsync_pipeline.py:177-229): the later chunks
    depend on the length of the earlier ones. Any chunk can be asked for at any time, repeatedly and
    from any thread: the generator is put back to a state that it is known to have had before. The
    next chunk is the cheapest; any other one repeats the draws of at most STATE_EVERY - 1
    chunks, or of all that were never drawn. The global generator is left alone.
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
        """Of chunk number `index`; 0: the video has no such chunk."""
        return self._counts[index] if 0 <= index < len(self._counts) else 0

    def __call__(self, index: int) -> Noise:
        """The noise of chunk number `index`. Raises IndexError where the video has no such one."""
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
        number, self._next = self._next, UNKNOWN  # until it is done: out of memory, say
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
    """The noise of chunk number `index`: a function of the seed and the number alone.

    Chunks can be made in any order and on several machines. Drawn on the CPU in float32: the same
    for every device, but for the rounding to `dtype`. side: r. seed: 0 or more.
    """

    def draw(*shape: int, key: tuple[int, ...]) -> Tensor:
        state = np.random.SeedSequence(key).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        return torch.randn(shape, generator=generator).to(device, dtype)

    initial = draw(1, CHANNELS, 1, side, side, key=(seed,))
    both = draw(2, frames, CHANNELS, side, side, key=(seed, 1 + index))
    return Noise(initial, both[0], both[1])
