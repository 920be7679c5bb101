"""What was judged: the videos and the audio, and how much of them was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """A video. seconds: its length. frames: number of its frames."""

    path: Path
    width: int
    height: int
    fps: float
    seconds: float
    frames: int

    def plain(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "path": str(self.path),
            "fps": round(self.fps, 3),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """source: what the result was made from. audio: the speech it is judged by; None: there is
    none. measured: number of frames that were looked at. cuts_seconds: where shots begin."""

    result: VideoFacts
    source: VideoFacts | None
    audio: Path | None
    measured: int
    cuts_seconds: Sequence[float] = ()
