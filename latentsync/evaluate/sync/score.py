"""Sync of a whole video with its audio: SyncNet's distances of every window, over time.

Memory does not grow with the length of the video but for the distances, 250 bytes a frame, and the
audio's cepstra, 19 MB an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from latentsync.evaluate.sync.distances import REACH, SHIFTS, distances
from latentsync.evaluate.sync.networks import WINDOWS, Embedder
from latentsync.evaluate.sync.tracks import FaceTrack
from latentsync.face.active_speaker import face_crop, smooth_squares
from latentsync.models.syncnet import CEPSTRA_PER_FRAME, EMBEDDING, FRAME_RATE, FRAMES


@dataclass(frozen=True, slots=True, eq=False)
class SyncRows:
    """seconds: (K,) rising: the middle of each window. rows: (K, 32) float64: distances at the 31
    shifts, see distances.distances, and the number of the track that the window belongs to."""

    seconds: np.ndarray
    rows: np.ndarray


class SyncScore:
    """Takes frames at instants, in order, and keeps the distances of each track's windows."""

    def __init__(
        self, tracks: Sequence[FaceTrack], cepstra: np.ndarray, embedder: Embedder
    ) -> None:
        """cepstra: (M, 13) MFCC of the whole audio, 100 a second from the video's zero."""
        self._tracks = [
            TrackScore(track, cepstra[CEPSTRA_PER_FRAME * track.start :], embedder)
            for track in tracks
        ]

    @property
    def windows(self) -> int:
        """How many there will be, of all tracks."""
        return sum(track.windows for track in self._tracks)

    def wants(self, instant: int) -> bool:
        return any(track.wants(instant) for track in self._tracks)

    def add(self, pixels: np.ndarray, instant: int) -> None:
        """pixels: (H, W, 3) uint8 RGB."""
        for track in self._tracks:
            if track.wants(instant):
                track.add(pixels, instant)

    def result(self) -> SyncRows:
        """Of the frames so far."""
        rows, seconds = [np.empty((0, SHIFTS + 1))], [np.empty(0)]
        for number, track in enumerate(self._tracks):
            found = track.rows()
            rows.append(np.column_stack([found, np.full(len(found), float(number))]))
            seconds.append(track.seconds())
        order = np.argsort(np.concatenate(seconds), kind="stable")
        return SyncRows(np.concatenate(seconds)[order], np.concatenate(rows)[order])


@dataclass(slots=True, eq=False)
class _Audio:
    """Embeddings of one track's audio, computed in order as they are asked for.

    cepstra: from the track's start. count: windows; beyond them are zero vectors, as upstream.
    """

    cepstra: np.ndarray
    count: int
    embedder: Embedder
    first: int = -REACH
    held: np.ndarray = field(default_factory=lambda: np.zeros((REACH, EMBEDDING), np.float32))

    def around(self, start: int, stop: int) -> np.ndarray:
        """(stop - start + 30, D): of windows start - 15 to stop + 15; start never falls."""
        self.held = self.held[start - REACH - self.first :]
        self.first = start - REACH
        while (known := self.first + len(self.held)) < stop + REACH:
            self.held = np.concatenate([self.held, self._next(known, stop + REACH)])
        return self.held[: stop - start + 2 * REACH]

    def _next(self, known: int, wanted: int) -> np.ndarray:
        if known >= self.count:
            return np.zeros((wanted - known, self.held.shape[1]), np.float32)
        stop = min(known + WINDOWS, self.count)
        rows = slice(known * CEPSTRA_PER_FRAME, (stop + FRAMES - 1) * CEPSTRA_PER_FRAME)
        return self.embedder.audio(self.cepstra[rows])


class TrackScore:
    """Takes the frames of one track and keeps the distances of its windows.

    It holds 20 crops at the most, 3 MB.
    """

    def __init__(self, track: FaceTrack, cepstra: np.ndarray, embedder: Embedder) -> None:
        """cepstra: (M, 13) from the track's start; M may be less than the track is long."""
        self.track = track
        usable = min(len(track.boxes), (len(cepstra) + 1) // CEPSTRA_PER_FRAME)
        self.windows = max(0, usable - FRAMES)  # one fewer than there are, as upstream
        self._squares = smooth_squares(track.boxes, beyond="constant")  # as upstream
        self._embedder = embedder
        self._audio = _Audio(cepstra, self.windows, embedder)
        self._crops: list[np.ndarray] = []
        self._done = 0
        self._rows: list[np.ndarray] = []

    def wants(self, instant: int) -> bool:
        """Whether windows need the frame at this instant."""
        last = self.track.start + self.windows + FRAMES - 1
        return self.windows > 0 and self.track.start <= instant < last

    def add(self, pixels: np.ndarray, instant: int) -> None:
        """pixels: (H, W, 3) uint8 RGB, of the next instant that is wanted."""
        self._crops.append(face_crop(pixels, self._squares[instant - self.track.start]))
        if len(self._crops) == WINDOWS + FRAMES - 1:
            self._embed()

    def rows(self) -> np.ndarray:
        """(L, 31), of the frames so far."""
        if len(self._crops) >= FRAMES:
            self._embed()
        return np.concatenate([np.empty((0, SHIFTS)), *self._rows])

    def seconds(self) -> np.ndarray:
        """(L,): the middles of the windows of `rows`."""
        return (self.track.start + np.arange(self._done) + FRAMES // 2) / FRAME_RATE

    def _embed(self) -> None:
        lips = self._embedder.lips(np.stack(self._crops))
        del self._crops[: len(lips)]
        around = self._audio.around(self._done, self._done + len(lips))
        self._rows.append(distances(lips, around))
        self._done += len(lips)
