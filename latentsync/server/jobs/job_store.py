"""The store of jobs for a server of many threads: one thread of its own keeps the connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import OPEN
from latentsync.jobs.store import Store

Answer = TypeVar("Answer")


def open_ids(store: Store) -> list[str]:
    """Of the unfinished jobs, without reading what they are."""
    wanted = "select id from jobs where state in (select value from json_each(?))"
    return [row["id"] for row in store.all(wanted, json.dumps(OPEN))]


def is_worked_on(store: Store, job_id: str) -> bool:
    """Whether a worker may still write its files: one that lives, or vanished a moment ago."""
    wanted = "select 1 from tasks where job = ? and state = 'leased' and lease > ?"
    return bool(store.all(wanted, job_id, store.now()))


class JobStore:
    """Call it with what is to be done with the store; it waits for that, some milliseconds."""

    def __init__(self, files: JobFiles) -> None:
        self.files = files
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._store = self._thread.submit(open_store, files).result()

    def __call__(self, work: Callable[[Store], Answer]) -> Answer:
        return self._thread.submit(work, self._store).result()

    def close(self) -> None:
        self._thread.submit(self._store.close).result()
        self._thread.shutdown()
