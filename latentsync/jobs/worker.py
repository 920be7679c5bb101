"""Works on the tasks of a store: models are loaded once and serve all jobs."""

from __future__ import annotations

import logging
import os
import platform
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from latentsync.errors import Cancelled
from latentsync.jobs.database import StoreError
from latentsync.jobs.failures import WorkerLostError, again_in, is_out_of_gpu_memory, line_of
from latentsync.jobs.open_job import JobsHere, OpenJob, OpensJobs
from latentsync.jobs.places import JobFiles
from latentsync.jobs.rows import JOIN, PLAN, SEGMENT, Task
from latentsync.jobs.store import Store
from latentsync.pipeline.segments.borders import SECONDS
from latentsync.pipeline.segments.finishing import is_gone

logger = logging.getLogger(__name__)

SIGN_OF_LIFE = 2.0
"""Seconds between two signs of life."""
_MOST_WAIT = 2.0  # seconds until a worker without work looks again


class Worker:
    """One of any number of workers, each in its own process or thread.

    files: of the jobs. owner: a name that no other worker has. jobs: the ids of those that it works
    on; None: all. threads: of the networks; 0: as each job's settings say. seconds: of a segment.
    place: where the jobs are opened; None: in this process.
    """

    def __init__(
        self,
        files: JobFiles,
        owner: str,
        *,
        jobs: Sequence[str] | None = None,
        threads: int = 0,
        seconds: float = SECONDS,
        place: OpensJobs | None = None,
    ) -> None:
        self._files, self._owner, self._jobs = files, owner, jobs
        self._place = JobsHere(threads, seconds) if place is None else place
        self._store = Store(files.store)
        self._open: OpenJob | None = None
        self._stop = threading.Event()

    def stop(self) -> None:
        """From any thread: the task at hand is given back, and run() returns."""
        self._stop.set()
        if (opened := self._open) is not None:
            opened.cancel()

    def run(self, *, wait: bool = True) -> None:
        """Works until no job is left that could be worked on, by this worker or another.

        wait: whether it waits for tasks that others work on, or that are to be tried again later.
        Raises WorkerLostError where the place of the jobs is gone; the task was given back.
        """
        self._bury_the_dead()
        try:
            while not self._stop.is_set():
                self._store.check_there()
                task = self._store.lease(self._owner, self._jobs)
                if task is not None:
                    self._work(task)
                elif not wait or not self._may_come():
                    return
        finally:
            self._close()
            self._store.close()

    def _bury_the_dead(self) -> None:
        """Workers of this machine whose process is gone: nobody has to wait for their leases."""
        for owner in self._store.owners():
            if _is_gone(owner):
                self._store.bury(owner)

    def _may_come(self) -> bool:
        self._bury_the_dead()
        ids = [job.id for job in self._store.jobs(("waiting", "running"))]
        wanted = ids if self._jobs is None else [one for one in ids if one in self._jobs]
        soonest = self._store.next_time(wanted)
        if not wanted:
            return False
        self._stop.wait(min(_MOST_WAIT, 0.1 if soonest is None else max(soonest, 0.1)))
        return True

    def _work(self, task: Task) -> None:
        log = self._files.log(task.job.id)
        with log, _SignsOfLife(self._files.store, task, self._owner, self._lost) as life:
            try:
                self._do(task, life)
            except (KeyboardInterrupt, SystemExit):
                self._store.released(task)
                raise
            except Cancelled:
                self._close()
                if life.lost:
                    logger.info("%s: cancelled, or taken over by another worker", task.job.name)
                else:
                    self._store.released(task)
            except Exception as error:
                self._fail(task, error)
                if isinstance(error, WorkerLostError):
                    raise

    def _do(self, task: Task, life: _SignsOfLife) -> None:
        opened = self._opened(task)
        if life.lost or self._stop.is_set():  # meanwhile, when there was nothing to cancel
            raise Cancelled
        if task.kind == PLAN:
            self._store.planned(task, opened.plan())
            return
        if task.kind == SEGMENT:
            if not opened.make(task.number, life.step):
                self._close()  # another worker may make the plan: it has to be read then
                self._store.start_over(task.job.id)
                return
        else:
            opened.render()
        self._store.finished(task)
        if task.kind == JOIN:
            self._files.set_state(task.job.id, "done")
            opened.forget()
            self._close()

    def _fail(self, task: Task, error: Exception) -> None:
        self._close()
        line, again = line_of(error), again_in(error, task.attempt)
        if is_out_of_gpu_memory(error):
            self._place.release_memory()
        self._files.note(task.job.id, "".join(traceback.format_exception(error)))
        if not self._store.failed(task, line, again_in=again):
            return  # it was cancelled, or another worker has taken over
        if again is not None:
            logger.warning("%s: %s; it is tried again in %d s", task.job.name, line, again)
        else:
            self._files.set_state(task.job.id, "failed", line)

    def _lost(self) -> None:
        if (opened := self._open) is not None:
            opened.cancel()

    def _opened(self, task: Task) -> OpenJob:
        if self._open is not None and self._open.id == task.job.id:
            return self._open
        self._close()
        self._open = self._place.open(task)
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _SignsOfLife:
    """Renews the lease of a task from a thread of its own. lost: whether the task was taken away.

    on_loss: called once, when that is noticed.
    """

    def __init__(self, store: Path, task: Task, owner: str, on_loss: Callable[[], None]) -> None:
        self._path, self._task, self._owner, self._on_loss = store, task, owner, on_loss
        self._done, self.lost, self._end = 0, False, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def step(self) -> None:
        self._done += 1

    def __enter__(self) -> _SignsOfLife:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(SIGN_OF_LIFE):
            try:
                with closing(Store(self._path)) as store:
                    if store.renew(self._task, self._owner, self._done):
                        continue
            except StoreError as error:  # the lease lasts for some more tries
                logger.warning(str(error))
                continue
            self.lost = True
            self._on_loss()
            return


def owner_here(number: int = 0) -> str:
    """A name for a worker of this process. number: of several in one process."""
    return f"{platform.node()}:{os.getpid()}:{number}"


def _is_gone(owner: str) -> bool:
    """False where it cannot be known: a worker of another machine."""
    node, _, rest = owner.rpartition(":")[0].rpartition(":")
    return node == platform.node() and rest.isdigit() and is_gone(int(rest))
