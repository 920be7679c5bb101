"""StableSyncNet's agreement of lips and audio, window by window.

The network is LatentSync's own, which its generator is trained against; it is another one than that
of score.py, and its windows are another excerpt: the lower half of 16 aligned faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from latentsync.geometry import extract, square
from latentsync.models import stable_syncnet, sync_options
from latentsync.models.stable_syncnet import (
    FRAMES,
    MEL_COLUMNS,
    MELS,
    SIDE,
    StableSyncNet,
    agreement,
)
from latentsync.models.syncnet import FRAME_RATE
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.speech.sync_mel import PER_SECOND
from latentsync.weights.evaluation_files import STABLE_SYNCNET
from latentsync.weights.load import build

MOST_PAIRS = 200
"""Of a video that are compared, 0.64 s each: one takes a second or two of a core."""
_HALF = SIDE // 2


class Agreement(Protocol):
    """Cosine of StableSyncNet's embeddings."""

    def __call__(self, faces: Tensor, mel: np.ndarray) -> float:
        """faces: (16, 3, 128, 256) float RGB [-1, 1], lower halves of aligned faces. mel: (80, 52)
        of speech.sync_mel -> [0, 1]."""
        ...


class StableSyncNetAgreement:
    """An Agreement. Always in float32, so that figures can be compared between machines."""

    def __init__(self, path: Path, execution: Execution) -> None:
        """path: of weights.find. Raises CheckpointError."""
        networks = Networks(
            lambda dtype: build(StableSyncNet, STABLE_SYNCNET, path, execution.device, dtype=dtype),
            name=STABLE_SYNCNET.key,
            checkpoint=path,
            execution=execution,
            sources=[stable_syncnet, sync_options],
        )
        shapes = (1, 3 * FRAMES, _HALF, SIDE), (1, 1, MELS, MEL_COLUMNS)
        examples = [torch.zeros(shape) for shape in shapes]
        self._run = networks.part(Part("whole", lambda network: network, precise=True), *examples)

    def __call__(self, faces: Tensor, mel: np.ndarray) -> float:
        frames = faces.reshape(1, 3 * FRAMES, _HALF, SIDE)
        vision, audio = self._run(frames, torch.from_numpy(mel)[None, None])
        return float(agreement(vision, audio))


def mel_window(mel: np.ndarray, start: int) -> np.ndarray | None:
    """mel: (80, T) -> (80, 52): of the 16 frames from `start` on; None: the audio is over."""
    column = PER_SECOND * start // FRAME_RATE
    window = mel[:, column : column + MEL_COLUMNS]
    return window if window.shape[1] == MEL_COLUMNS else None


def lower_half(pixels: np.ndarray, matrix: np.ndarray) -> Tensor:
    """pixels: (H, W, 3) uint8 RGB, matrix: (2, 3) frame -> aligned crop of 420 x 560 ->
    (3, 128, 256) float RGB [-1, 1]: of LatentSync's face of 256."""
    whole = square(SIDE) @ np.vstack([matrix, [0.0, 0.0, 1.0]])
    whole[1, 2] -= _HALF
    return extract(pixels, whole, (_HALF, SIDE)).clamp(-1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """16 consecutive faces of one track, and the audio that they are compared with.

    start: number of the first instant. matrices: (16, 2, 3), frame -> aligned crop, of each. audio:
    the instant at which the audio starts; the same as `start` unless a wrong pair is wanted.
    """

    start: int
    matrices: np.ndarray
    audio: int

    @property
    def middle(self) -> float:
        """Seconds."""
        return (self.start + (FRAMES - 1) / 2) / FRAME_RATE


def pairs_in_order(runs: Sequence[AlignedRun], most: int = MOST_PAIRS) -> list[Pair]:
    """Pairs that follow each other without overlap, frames and audio of the same time; of more than
    `most`, evenly spread ones."""
    every = [(run, at) for run in runs for at in range(run.start, run.last_start + 1, FRAMES)]
    step = max(1, -(-len(every) // most))
    return [run.pair(at, at) for run, at in every[::step]]


@dataclass(frozen=True, slots=True, eq=False)
class AlignedRun:
    """One track in consecutive instants, from number `start` on. matrices: (n, 2, 3)."""

    start: int
    matrices: np.ndarray

    @property
    def last_start(self) -> int:
        """The last instant at which a pair can start; before `start`: the run is too short."""
        return self.start + len(self.matrices) - FRAMES

    def pair(self, start: int, audio: int) -> Pair:
        first = start - self.start
        return Pair(start, self.matrices[first : first + FRAMES], audio)


class StableScore:
    """Takes frames at instants, in order. Holds the faces of open pairs, 6 MB each."""

    def __init__(self, pairs: Sequence[Pair], mel: np.ndarray, agrees: Agreement) -> None:
        """mel: (80, T), from the video's zero. Pairs for which the audio is too short get nan."""
        self.pairs, self._mel, self._agrees = pairs, mel, agrees
        self._starts: dict[int, list[int]] = {}
        self._wanted: set[int] = set()
        for number, pair in enumerate(pairs):
            if mel_window(mel, pair.audio) is not None:
                self._starts.setdefault(pair.start, []).append(number)
                self._wanted.update(range(pair.start, pair.start + FRAMES))
        self._open: dict[int, list[Tensor]] = {}
        self.cosines = np.full(len(pairs), np.nan)
        """(K,), of the pairs, as far as the frames have come."""

    @property
    def count(self) -> int:
        """Pairs that have audio."""
        return sum(map(len, self._starts.values()))

    def wants(self, instant: int) -> bool:
        return instant in self._wanted

    def add(self, pixels: np.ndarray, instant: int) -> None:
        """pixels: (H, W, 3) uint8 RGB."""
        self._open.update({number: [] for number in self._starts.get(instant, [])})
        for number, faces in list(self._open.items()):
            pair = self.pairs[number]
            faces.append(lower_half(pixels, pair.matrices[instant - pair.start]))
            if len(faces) == FRAMES:
                self.cosines[number] = self._cosine(pair, torch.stack(self._open.pop(number)))

    def _cosine(self, pair: Pair, faces: Tensor) -> float:
        mel = mel_window(self._mel, pair.audio)
        assert mel is not None  # of all pairs that were opened
        return self._agrees(faces, mel)
