"""What a machine of a cluster runs: a process that holds loaded models and works on tasks."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from latentsync.errors import CheckpointError
from latentsync.jobs.cluster_files import (
    PLAN_FILES,
    JobSpec,
    NodeFiles,
    Reply,
    node_folder,
    remove_copies,
)
from latentsync.jobs.file_blocks import blocks
from latentsync.jobs.open_job import JobHere, JobsHere
from latentsync.jobs.shown import Shown, Stage
from latentsync.pipeline.job import fetch_for
from latentsync.pipeline.segments.identity import code_hash
from latentsync.settings.load import config_of

_PACKAGES = ("latentsync", "GFPGAN", "CodeFormer")


class NodeWorker:
    """Works on one task at a time. progress() and cancel() are called from another thread.

    token: of the run. seconds: of a segment.
    """

    def __init__(self, token: str, seconds: float) -> None:
        self._token, self._jobs = token, JobsHere(seconds=seconds)
        self._open: JobHere | None = None
        self._files: NodeFiles | None = None
        self._shown, self._said, self._cancelled = Shown(), _Said(), threading.Event()

    def own_process(self, folder: str) -> None:
        """The process is this worker's alone. folder: the current one of the machine that started
        the run: relative paths mean the same here, where it is there."""
        if Path(folder).is_dir():
            os.chdir(folder)
        for name in _PACKAGES:
            logging.getLogger(name).setLevel(logging.INFO)
            logging.getLogger(name).addHandler(self._said)

    def about(self) -> tuple[str, str]:
        """Hash of the program, and name of the machine."""
        return code_hash(), platform.node()

    def plan(self, spec: JobSpec) -> Reply:
        opened, files = self._opened(spec)
        frames = opened.plan(self._shown)
        made = PLAN_FILES if files.copied and frames else ()
        return Reply(frames, tuple(str(files.segments / name) for name in made))

    def make(self, spec: JobSpec, number: int) -> Reply:
        """Its value is False where there is no plan."""
        opened, files = self._opened(spec)
        made = opened.make(number, self._shown)
        return Reply(made, files.made(f"{number:05d}.*"))

    def render(self, spec: JobSpec) -> Reply:
        opened, files = self._opened(spec)
        if files.copied:
            files.add_segments(spec.segments)
        opened.render(self._shown)
        return Reply(None, files.outputs())

    def progress(self) -> tuple[Stage, list[tuple[int, str]]]:
        """How far the task is, and what was logged since the last call: level and line."""
        return self._shown.stage, self._said.taken()

    def cancel(self) -> None:
        self._cancelled.set()
        if (opened := self._open) is not None:
            opened.cancel()

    def close(self) -> None:
        """No task is worked on, and none will be of a job that was cancelled."""
        self._cancelled.clear()
        self._end()

    def _end(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = self._files = None

    def release_memory(self) -> None:
        self._end()
        self._jobs.release_memory()

    def remove_copies(self) -> None:
        """Of this run, on this machine."""
        self._end()
        remove_copies(self._token)

    def blocks(self, path: str) -> Iterator[bytes]:
        """Of a file that a task has made."""
        yield from blocks(path)

    def _opened(self, spec: JobSpec) -> tuple[JobHere, NodeFiles]:
        self._shown = Shown()
        if self._open is not None and self._open.id == spec.id and self._files is not None:
            return self._open, self._files
        self._end()
        files = NodeFiles(node_folder(self._token) / spec.id, spec, self._read)
        if files.copied and spec.plan is not None:
            files.add_plan(self._plan_of(spec.plan))
        config = config_of(files.config)
        _fetch(config)
        self._open = self._jobs.open_config(spec.id, config, short=spec.short)
        self._files = files
        if self._cancelled.is_set():
            self._open.cancel()
        return self._open, files

    def _read(self, path: str) -> Iterable[bytes]:
        """A file of the machine that started the run."""
        raise NotImplementedError

    def _plan_of(self, plan: Any) -> Mapping[str, bytes]:
        """What JobSpec.plan stands for."""
        raise NotImplementedError


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append((record.levelno, " ".join(record.getMessage().split())))

    def taken(self) -> list[tuple[int, str]]:
        with self.lock:  # type: ignore[union-attr]
            lines, self._lines = self._lines, []
        return lines


def _fetch(config: Any) -> None:
    """Weights that this machine does not have are downloaded, as the command does on its own."""
    try:
        fetch_for(config, speech=config.speech)
    except CheckpointError as error:
        what = f"on {platform.node()}: {error.what}"
        raise CheckpointError(what, error.value, error.remedy) from error
