"""Stand-ins of ComfyUI's VIDEO types."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentsync.media.reader import VideoReader
from tests.support.media_factory import make_video


@dataclass
class VideoComponents:
    images: torch.Tensor
    frame_rate: Fraction
    audio: dict[str, Any] | None = None


class OldVideoFromFile:
    """A whole file, or one that is in memory."""

    def __init__(self, file: str | io.BytesIO) -> None:
        self._file = file

    def get_stream_source(self) -> str | io.BytesIO:
        return self._file

    def get_container_format(self) -> str:
        return "mov,mp4,m4a,3gp,3g2,mj2"

    def save_to(self, path: str) -> None:
        shutil.copy(str(self._file), path)


class NewVideoFromFile(OldVideoFromFile):
    """May be trimmed: start and duration in seconds, 0 for the whole of it."""

    def __init__(self, file: str | io.BytesIO, start: float = 0.0, duration: float = 0.0) -> None:
        super().__init__(file)
        self._window = start, duration
        self.saved_with: float | None = None

    def get_active_trim_window(self) -> tuple[float, float]:
        return self._window

    def save_to(self, path: str, crf: float | None = None) -> None:  # type: ignore[override]
        self.saved_with = crf
        start, duration = self._window
        frames = [
            np.ascontiguousarray(frame.pixels)
            for frame in VideoReader(Path(str(self._file)))
            if start - 0.001 <= frame.pts_seconds < start + duration - 0.001
        ]
        make_video(Path(path), frames)


class VideoFromComponents:
    def __init__(self, components: VideoComponents) -> None:
        self._components = components

    def get_components(self) -> VideoComponents:
        return self._components

    def get_stream_source(self) -> str:
        raise ValueError("Could not determine output format")
