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
from latentsync.jobs.failures import WorkerLostError, again_in, is_out_of_memory, line_of
from latentsync.jobs.judging import asks_for_judging, judge_result
from latentsync.jobs.open_job import JobsHere, OpenJob, OpensJobs
from latentsync.jobs.places import JobFiles
from latentsync.jobs.rows import DONE, FAILED, JUDGE, PLAN, SEGMENT, Task
from latentsync.jobs.shown import Shown
from latentsync.jobs.store import Store
from latentsync.pipeline.segments.borders import SECONDS
from latentsync.pipeline.segments.finishing import is_gone, remove_kept
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from latentsync.settings.load import config_of

logger = logging.getLogger(__name__)

SIGN_OF_LIFE = 2.0
"""Seconds between two signs of life."""
_MOST_WAIT = 0.5  # seconds until a worker without work looks again


class Worker:
    """One of any number of workers, each in its own process or thread.

    files: of the jobs. owner: a name that no other worker has. jobs: the ids of those that it works
    on; None: all. threads: of the networks; 0: as each job's settings say. seconds: of a segment.
    place: where the jobs are opened; None: in this process. between_frames: called after each
    frame of a task; it may wait. sign_of_life: seconds between two; the store shows how far a task
    is as often.
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
        between_frames: Callable[[], None] = lambda: None,
        sign_of_life: float = SIGN_OF_LIFE,
    ) -> None:
        self._files, self._owner, self._jobs = files, owner, jobs
        self._place = JobsHere(threads, seconds) if place is None else place
        self._store: Store  # while it runs, of the thread that runs it
        self._open: OpenJob | None = None
        self._between_frames, self._sign_of_life = between_frames, sign_of_life
        self._stop = threading.Event()
        self._no_more = threading.Event()

    def stop(self, *, finish: bool = False) -> None:
        """From any thread: the task at hand is given back, and run() returns. finish: the task is
        finished first; a further call without it gives it back after all."""
        self._no_more.set()
        if finish:
            return
        self._stop.set()
        if (opened := self._open) is not None:
            opened.cancel()

    def run(self, *, wait: bool = True) -> None:
        """Works until no job is left that could be worked on, by this worker or another.

        wait: whether it waits for tasks that others work on, or that are to be tried again later.
        Raises WorkerLostError where the place of the jobs is gone; the task was given back.
        """
        self._store = Store(self._files.store)
        try:
            self._bury_the_dead()
            self._tidy()
            while not self._no_more.is_set():
                self._store.check_there()
                task = self._store.lease(self._owner, self._jobs)
                if task is not None:
                    self._work(task)
                elif not wait or not self._may_come():
                    self._close()
                    self._tidy()
                    return
        finally:
            self._close()
            self._store.close()

    def _tidy(self) -> None:
        """What workers have left that were stopped between the end of a job and the removal of what
        was kept for another attempt."""
        try:
            for job in self._store.done_and_kept():
                if remove_kept(Path(job.output)):
                    self._store.kept_nothing(job.id)
        except (OSError, StoreError) as error:  # the next worker tries again
            logger.warning("segments of finished jobs could not be removed: %s", error)

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
        self._no_more.wait(min(_MOST_WAIT, 0.1 if soonest is None else max(soonest, 0.1)))
        return True

    def _work(self, task: Task) -> None:
        life = _SignsOfLife(self._files.store, task, self._lost, self._sign_of_life)
        with self._files.log(task.job.id):
            try:
                with life:
                    enter = self._do(task, life)
                if life.lost:  # too late to matter to this task; the open job was cancelled, though
                    self._close()
                enter()
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

    def _do(self, task: Task, life: _SignsOfLife) -> Callable[[], None]:
        """Returns what enters the task in the store as done. It is called when the signs of life
        have ended: a task that is done is no longer leased, which would count as its loss."""

        def check() -> None:
            if life.lost or self._stop.is_set():
                raise Cancelled

        def at_frame() -> None:
            self._between_frames()
            check()

        life.shown = shown = Shown(at_frame)
        if task.kind == JUDGE:
            judge_result(config_of(task.job.config), shown)
            return lambda: self._enter_job(task)
        opened = self._opened(task)
        check()  # meanwhile there was nothing to cancel
        if task.kind == PLAN:
            segments = opened.plan(shown)
            return lambda: self._store.planned(task, segments)
        if task.kind == SEGMENT:
            if opened.make(task.number, shown):
                return lambda: self._store.finished(task)
            self._close()  # another worker may make the plan: it has to be read then
            return lambda: self._store.start_over(task.job.id)
        opened.render(shown)
        self._close()
        return lambda: self._enter_video(task)

    def _enter_video(self, task: Task) -> None:
        if asks_for_judging(task.job):
            self._store.finished(task, judge=True)
        else:
            self._enter_job(task)
        # The video is there, and the store says so: what was kept for another attempt goes.
        SegmentFolder(folder_of(Path(task.job.output)), {}).remove()
        self._store.kept_nothing(task.job.id)

    def _enter_job(self, task: Task) -> None:
        self._store.finished(task)
        self._files.set_state(task.job.id, DONE)

    def _fail(self, task: Task, error: Exception) -> None:
        self._close()
        line, again = line_of(error), again_in(error, task.attempt)
        if short := is_out_of_memory(error):
            self._place.release_memory()
        self._files.note(task.job.id, "".join(traceback.format_exception(error)))
        if not self._store.failed(task, line, again_in=again, short=short):
            return  # it was cancelled, or another worker has taken over
        if again is not None:
            logger.warning("%s: %s; it is tried again in %d s", task.job.name, line, again)
        elif task.kind == JUDGE:
            logger.warning("%s: done, but it could not be judged: %s", task.job.name, line)
            self._files.set_state(task.job.id, DONE)
        else:
            self._files.set_state(task.job.id, FAILED, line)

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

    on_loss: called once, when that is noticed. every: seconds. shown: how far the task is.
    """

    def __init__(self, store: Path, task: Task, on_loss: Callable[[], None], every: float) -> None:
        self._path, self._task, self._on_loss, self._every = store, task, on_loss, every
        self.shown, self.lost, self._end = Shown(), False, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _SignsOfLife:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(self._every):
            try:
                with closing(Store(self._path)) as store:
                    if store.renew(self._task, self._task.owner, self.shown.stage):
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
