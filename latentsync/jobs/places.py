"""The files of jobs: one folder for the store, and in it a folder for each job.

    STATE/jobs/jobs.sqlite      the store
               ID/job.json      what the job is, so that the store can be made again
               ID/log.txt       what was logged while it was worked on

The video itself is rendered beside its output, on the same disk: see pipeline.segments.folder.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsync.jobs.database import DamagedError
from latentsync.jobs.job_table import TakenError
from latentsync.jobs.rows import OPEN, JobRow
from latentsync.jobs.store import Store
from latentsync.media.segment_file import flush
from latentsync.pipeline.compact_json import compact_json
from latentsync.places import part_file, state_folder

logger = logging.getLogger(__name__)

KIND = "latentsync job"
_PACKAGES = ("latentsync", "GFPGAN", "CodeFormer")


def default_root() -> Path:
    return state_folder() / "jobs"


class _LogFile(logging.FileHandler):
    """A full disk ends no job for want of its log."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@dataclass(frozen=True, slots=True)
class JobFiles:
    """root: the folder of all of them."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "jobs.sqlite"

    def folder(self, job_id: str) -> Path:
        return self.root / job_id

    def write(self, job: JobRow) -> None:
        """Keeps what the job is."""
        about = {
            "kind": KIND,
            "id": job.id,
            "name": job.name,
            "output": job.output,
            "priority": job.priority,
            "created": job.created,
            "state": job.state,
            "error": job.error,
            "config": job.config,
        }
        with part_file(self.folder(job.id) / "job.json") as part:
            part.write_text(compact_json(about), "utf-8")
            flush(part)

    def set_state(self, job_id: str, state: str, error: str | None = None) -> None:
        """Keeps how a job ended."""
        about = self.read(job_id)
        if about is None:
            return
        with part_file(self.folder(job_id) / "job.json") as part:
            part.write_text(compact_json({**about, "state": state, "error": error}), "utf-8")
            flush(part)

    def read(self, job_id: str) -> dict[str, Any] | None:
        """None: the folder is none of ours."""
        try:
            about = json.loads((self.folder(job_id) / "job.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return about if isinstance(about, dict) and about.get("kind") == KIND else None

    @contextmanager
    def log(self, job_id: str) -> Iterator[None]:
        """What is logged meanwhile goes to the job's log, too."""
        self.folder(job_id).mkdir(parents=True, exist_ok=True)
        handler = _LogFile(self.folder(job_id) / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        loggers = [logging.getLogger(name) for name in _PACKAGES]
        for one in loggers:
            one.addHandler(handler)
        try:
            yield
        finally:
            for one in loggers:
                one.removeHandler(handler)
            handler.close()

    def note(self, job_id: str, text: str) -> None:
        """Adds text to the job's log, if the disk takes it."""
        with (
            suppress(OSError),
            (self.folder(job_id) / "log.txt").open("a", encoding="utf-8") as file,
        ):
            file.write(f"{text.rstrip()}\n")

    def remove(self, job_id: str) -> None:
        """Deletes what this class made of a job."""
        folder = self.folder(job_id)
        if self.read(job_id) is None:
            return
        for name in ("log.txt", "job.json"):
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def open_store(files: JobFiles) -> Store:
    """The store; one that is damaged is put aside, one that is damaged or lost is made again from
    the folders of the jobs, which is said. Raises StoreError where it cannot be read or written."""
    try:
        store = Store(files.store)
        if store.is_sound():
            return store if store.jobs() else _filled(store, files, "gone")
        store.close()
    except DamagedError:
        pass
    aside = files.store.with_name(f"jobs.damaged-{time.strftime('%Y%m%d-%H%M%S')}.sqlite")
    files.store.replace(aside)
    for suffix in ("-wal", "-shm"):
        files.store.with_name(files.store.name + suffix).unlink(missing_ok=True)
    return _filled(Store(files.store), files, f"damaged, and is now {aside}")


def _filled(store: Store, files: JobFiles, what: str) -> Store:
    """An empty store, with the jobs that are still in their folders."""
    if kept := _kept_jobs(files):
        count = sum(_added(store, about) for about in kept)
        message = "the store of jobs was %s; %d jobs were taken from their folders"
        logger.warning(message, what, count)
    return store


def _kept_jobs(files: JobFiles) -> list[dict[str, Any]]:
    found = [files.read(path.name) for path in files.root.iterdir() if path.is_dir()]
    return sorted((one for one in found if one), key=lambda one: float(one["created"]))


def _added(store: Store, about: Mapping[str, Any]) -> bool:
    try:
        store.add(*(about[key] for key in ("id", "name", "output", "config", "priority")))
    except TakenError:
        return False
    if about["state"] not in OPEN:
        store.end(about["id"], about["state"], about["error"])
    return True
