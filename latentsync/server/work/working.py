"""Works on all jobs of the server's store, for ever."""

from __future__ import annotations

import logging
import threading
from contextlib import closing

from latentsync.jobs.database import StoreError
from latentsync.jobs.open_job import JobsHere
from latentsync.jobs.places import JobFiles
from latentsync.jobs.store import Store
from latentsync.jobs.worker import Worker, owner_here
from latentsync.server.work.here import Here

logger = logging.getLogger(__name__)

LOOK = 0.5
"""Seconds between two looks for new jobs: other programs may add some, too."""
SIGN_OF_LIFE = 1.0
"""Seconds; somebody looks at how far a job is."""


class Working(threading.Thread):
    """A thread with one worker after the other: one ends when there is nothing to do."""

    def __init__(self, files: JobFiles, here: Here) -> None:
        super().__init__(name="jobs", daemon=True)
        self._files, self._here = files, here
        self._place = JobsHere(engines=here.engines)
        self._lock = threading.RLock()  # of the worker and of how it is to end
        self._worker: Worker | None = None
        self._ended, self._woken = False, threading.Event()

    def wake(self) -> None:
        """There may be new jobs."""
        self._woken.set()

    def end(self, *, finish: bool) -> None:
        """See Worker.stop."""
        with self._lock:
            self._ended = True
            if self._worker is not None:
                self._worker.stop(finish=finish)
        self._woken.set()

    def run(self) -> None:
        while not self._ended:
            try:
                self._wait_for_jobs()
                if (worker := self._new_worker()) is not None:
                    worker.run()
            except StoreError as error:
                logger.warning("%s", error)
                self._woken.wait(LOOK)

    def _wait_for_jobs(self) -> None:
        with closing(Store(self._files.store)) as store:
            while not (self._ended or store.has_work()):
                self._woken.wait(LOOK)
                self._woken.clear()
                store.check_there()

    def _new_worker(self) -> Worker | None:
        with self._lock:
            if self._ended:
                return None
            self._worker = Worker(
                self._files,
                owner_here(),
                place=self._place,
                between_frames=self._here.turn.let_go,
                sign_of_life=SIGN_OF_LIFE,
            )
            return self._worker
