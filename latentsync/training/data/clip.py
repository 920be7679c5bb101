"""One clip for training: aligned frames at 25 a second, and their audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from torch import Tensor
from torch.nn import functional as F

from latentsync.errors import MediaError
from latentsync.media.audio.reader import SAMPLE_RATE, AudioReader
from latentsync.media.container import main_video, open_source
from latentsync.media.decoder import ToUpright
from latentsync.media.probe import VideoInfo, probe
from latentsync.training.data.windows import FRAME_RATE

RATE_TOLERANCE = 0.01  # frames a second
_NEAR = 25  # frames; a shorter way is decoded, not sought
_JITTER = 0.25  # of a frame, by which a time stamp may be off
_INFOS = 4096  # clips whose headers are kept; 2 kB each


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What the headers say. frames: that have audio, too."""

    frames: int
    side: int
    audio_seconds: float


def clip_facts(path: Path) -> ClipFacts:
    """Raises MediaError: it cannot be read, or training cannot use it; says why."""
    info = probe(path)
    if not info.audio:
        raise _unusable("it has no audio", path, "training needs the speech of each clip")
    if info.width != info.height:
        what = f"its frames have {info.width}x{info.height} pixels, not those of an aligned face"
        raise _unusable(what, path)
    if abs(float(info.average_rate) - FRAME_RATE) > RATE_TOLERANCE:
        what = f"it has {float(info.average_rate):.6g} frames a second, not {FRAME_RATE}"
        raise _unusable(what, path)
    seconds = float(info.audio[0].duration_seconds) or info.duration_seconds
    heard = round((seconds - info.start) * FRAME_RATE)
    return ClipFacts(min(info.frame_count, heard), info.width, seconds)


def read_windows(path: Path, starts: Sequence[int], length: int) -> list[np.ndarray]:
    """For each start `length` consecutive frames: (length, H, W, 3) uint8 RGB.

    The file is opened once, and decoded by one thread: datasets run in many processes.
    Raises MediaError: a frame is missing or damaged.
    """
    info = _info(path, path.stat().st_mtime_ns)
    upright = ToUpright(info)
    found: dict[int, list[np.ndarray]] = {}
    with open_source(path) as container:
        reader = _Frames(container, info)
        for start in sorted(set(starts)):
            frames = reader.window(start, length)
            found[start] = [_levels(upright.pixels(frame)) for frame in frames]
    return [np.stack(found[start]) for start in starts]


def as_faces(frames: np.ndarray, side: int) -> Tensor:
    """(F, H, W, 3) uint8 RGB -> (F, 3, side, side) float32 RGB [-1, 1].

    Frames of another size are resized as upstream does: bicubic with antialiasing, on 8 bits.
    """
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    if pixels.shape[-1] != side or pixels.shape[-2] != side:
        pixels = F.interpolate(pixels, size=(side, side), mode="bicubic", antialias=True)
    return pixels.contiguous().float().div_(127.5).sub_(1)


def read_samples(path: Path) -> np.ndarray:
    """(n,) float32 mono at 16 kHz, [-1, 1): from the first frame on. Raises MediaError."""
    info = _info(path, path.stat().st_mtime_ns)
    reader = AudioReader(info)
    samples = np.concatenate(list(reader))
    if reader.issues:
        raise _unusable(reader.issues, path)
    late = round(info.start * SAMPLE_RATE)
    return samples[late:] if late >= 0 else np.pad(samples, (-late, 0))


class _Frames:
    """Frames of an open clip, found by their times."""

    def __init__(self, container: InputContainer, info: VideoInfo) -> None:
        self._container, self._info = container, info
        self._stream = main_video(container, info.path)
        self._stream.codec_context.thread_count = 1
        self._first = float(info.origin) + info.start
        self._tick = float(info.time_base)
        self._decoded, self._next = self._decode(), 0

    def window(self, start: int, length: int) -> list[VideoFrame]:
        ways = [self._from_here] if self._next <= start <= self._next + _NEAR else []
        for way in (*ways, self._sought, self._from_start):
            if (frames := way(start, length)) is not None:
                return frames
        what = f"frames {start} to {start + length - 1} cannot all be decoded"
        raise _unusable(what, self._info.path)

    def _from_here(self, start: int, length: int) -> list[VideoFrame] | None:
        """None: one is missing, damaged, or was passed."""
        frames: list[VideoFrame] = []
        for number, frame in self._decoded:
            self._next = number + 1
            if number < start:
                continue
            if number != start + len(frames) or frame.is_corrupt:
                return None
            frames.append(frame)
            if len(frames) == length:
                return frames
        return None

    def _sought(self, start: int, length: int) -> list[VideoFrame] | None:
        second = self._first + (start - _JITTER) / FRAME_RATE
        return self._from_here(start, length) if self._seek(second) else None

    def _from_start(self, start: int, length: int) -> list[VideoFrame] | None:
        return self._from_here(start, length) if self._seek(self._first) else None

    def _seek(self, second: float) -> bool:
        try:
            self._container.seek(int(second / self._info.time_base), stream=self._stream)
        except av.FFmpegError:
            return False
        self._decoded, self._next = self._decode(), 0
        return True

    def _decode(self) -> Iterator[tuple[int, VideoFrame]]:
        try:
            for frame in self._container.decode(self._stream):
                yield self._number(frame), frame
        except av.FFmpegError:
            return  # what is missing then is reported by window()

    def _number(self, frame: VideoFrame) -> int:
        if frame.pts is None:
            return -1
        place = (frame.pts * self._tick - self._first) * FRAME_RATE
        return round(place) if abs(place - round(place)) <= _JITTER else -1


@lru_cache(maxsize=_INFOS)
def _info(path: Path, _changed: int) -> VideoInfo:
    return probe(path)


def _levels(pixels: np.ndarray) -> np.ndarray:
    """uint8 of either depth."""
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def _unusable(what: str, path: Path, remedy: str = "") -> MediaError:
    return MediaError(what, path, remedy or "make clips with scripts.prepare_data")
