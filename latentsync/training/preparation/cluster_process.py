"""What a machine of a cluster runs: a process that works on inputs, one at a time."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError, LatentSyncError, MediaError
from latentsync.pipeline.segments.identity import code_hash
from latentsync.training.preparation.inputs import Input
from latentsync.training.preparation.workers import Start, Work, attempted

SHARED = "videos and output have to be on storage that all machines see under the same paths"


@dataclass(frozen=True, slots=True)
class There:
    """A Start on another machine. mark: a folder of the output, for this run alone."""

    start: Start
    mark: Path

    def __call__(self) -> Work:
        if not self.mark.is_dir():
            what = f"machine {platform.node()} does not see the output"
            raise ConfigError(what, self.mark.parent, SHARED)
        work = self.start()

        def seen(one: Input, tick: Callable[[], None]) -> Any:
            if not os.path.lexists(one.path):
                what = f"machine {platform.node()} does not see the file"
                raise MediaError(what, one.path, SHARED)
            return work(one, tick)

        return seen


class Process:
    """Works on one task at a time. frames() is called from another thread.

    folder: the current one of the machine that started the run: names of plug-ins and relative
    paths mean the same here, where it is there.
    """

    def __init__(self, folder: str) -> None:
        if Path(folder).is_dir():
            os.chdir(folder)
        self._frames = 0

    def about(self) -> tuple[str, str]:
        """See ray_cluster.check_version."""
        return code_hash(), platform.node()

    def begin(self, start: Start) -> LatentSyncError | None:
        """What keeps it from working."""
        try:
            self._work = start()
        except LatentSyncError as error:
            return error
        return None

    def work(self, task: Input) -> tuple[str, Any]:
        """See workers.ended."""
        self._frames = 0
        return attempted(self._work, task, self._tick)

    def _tick(self) -> None:
        self._frames += 1

    def frames(self) -> int:
        """That were decoded for the task at hand."""
        return self._frames
