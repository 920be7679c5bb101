"""What requests and jobs of the engine's process share: loaded models, analyses of videos."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from latentsync.jobs.engines import Engines
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.server.work.turn import Turn
from latentsync.settings.schema import Config

RESTORERS = 4
"""That stay loaded."""
FRAMES = 200_000
"""Of videos whose analyses stay, some kB for each: two hours in all."""
VIDEOS = 8
"""Whose analyses stay, at most."""
_LOOK = 0.2  # seconds


@dataclass(eq=False)
class Seen:
    """Pass 1 of one video; None: not made yet. One thread at a time has it."""

    analysis: VideoAnalysis | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Analyses:
    """The last videos that were analyzed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[Any, ...], Seen] = {}

    @contextmanager
    def of(self, config: Config, check: Callable[[], None]) -> Iterator[Seen]:
        """That of the configured video. Whoever has it may fill it; others wait meanwhile, and call
        check, which may raise."""
        key = _key(config)
        with self._lock:
            seen = self._kept.pop(key, None) or Seen()
            self._kept[key] = seen
        while not seen.lock.acquire(timeout=_LOOK):
            check()
        try:
            yield seen
        finally:
            seen.lock.release()
            self._forget_old()

    def _forget_old(self) -> None:
        """The last one stays, however long it is."""
        with self._lock:
            while len(self._kept) > 1 and (
                len(self._kept) > VIDEOS or sum(map(_frames, self._kept.values())) > FRAMES
            ):
                del self._kept[next(iter(self._kept))]


def _frames(seen: Seen) -> int:
    return 0 if seen.analysis is None else len(seen.analysis.pts)


def _key(config: Config) -> tuple[Any, ...]:
    """What pass 1 depends on; not who is chosen afterwards."""
    video = Path(str(config.input.video))
    file = video.stat()
    face = replace(config.face, speaker=None)
    return video, file.st_size, file.st_mtime_ns, astuple(face), config.as_upstream


@dataclass(eq=False)
class Here:
    """offline: no weights are fetched. public: takes the server's own folders out of a text."""

    offline: bool
    public: Callable[[str], str] = str
    engines: Engines = field(default_factory=lambda: Engines(RESTORERS))
    analyses: Analyses = field(default_factory=Analyses)
    turn: Turn = field(default_factory=Turn)
