"""A job that is worked on: its session, its folder, and the models that it needs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from latentsync.jobs.engines import Engines
from latentsync.jobs.rows import Task
from latentsync.jobs.shown import Shown
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.findings import plan_warnings
from latentsync.pipeline.job import Job, checked
from latentsync.pipeline.segments.finishing import Finishing, may_finish
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from latentsync.pipeline.segments.identity import identity_of
from latentsync.pipeline.segments.render import SECONDS, InSegments, divides
from latentsync.pipeline.session import Session
from latentsync.settings.load import config_of
from latentsync.settings.schema import Config


class OpenJob(Protocol):
    """A job that a worker works on, here or on another machine. Each call is one task.

    shown: how far it is; its step is called for each frame, by the thread that calls.
    """

    id: str

    def plan(self, shown: Shown) -> list[int]:
        """Frames of each segment; none where there is nothing to divide."""

    def make(self, number: int, shown: Shown) -> bool:
        """A segment. False: there is no plan, it has to be made."""

    def render(self, shown: Shown) -> None:
        """The whole file, from the segments that are there."""

    def cancel(self) -> None:
        """From any thread: the call at hand raises Cancelled."""

    def close(self) -> None: ...


class OpensJobs(Protocol):
    """Where a worker's jobs are worked on."""

    def open(self, task: Task) -> OpenJob: ...

    def release_memory(self) -> None:
        """After a failure for want of GPU memory."""


class JobHere:
    """A job that is worked on in this process, with its session. Raises MediaError where a run by
    itself works on the same output."""

    def __init__(self, job_id: str, job: Job, engine: Engine, seconds: float) -> None:
        self.id, self._job = job_id, job
        self.folder = SegmentFolder(folder_of(job.output.target), identity_of(job, engine))
        self._in_segments = InSegments(self.folder, seconds)
        with ExitStack() as held:
            held.enter_context(self.folder.held(shared=True))
            plan, audio = self.folder.open(), job.audio
            self.session = Session(engine, job.source, audio=audio, plan=plan, config=job.config)
            self._held = held.pop_all()

    def plan(self, shown: Shown) -> list[int]:
        plan = self.session.make_plan(shown)
        if not divides(self._job.output, plan):
            return []
        warnings = plan_warnings(self.session, plan)
        borders = self._in_segments.begin(self.session, plan, warnings)
        return [after - first for first, after in borders]

    def make(self, number: int, shown: Shown) -> bool:
        if not self.folder.begun:  # its files are gone, or of another program or input
            return False
        if not self.folder.has(number):
            plan, (first, after) = self.session.make_plan(), self.folder.borders[number]
            title = "generating" if self.session.speaks else "restoring"
            with shown(title, after - first) as step:
                self._in_segments.make(self.session, self._job.output, plan, number, step)
        return True

    def render(self, shown: Shown) -> None:
        """The result, unless a worker had made it before it was stopped; the segments stay."""
        finishing = Finishing(self.folder.path)
        if not finishing.is_complete(self._job.output.target):
            self.session.render(self._job.output, shown, write=self._in_segments)
            finishing.complete()

    def cancel(self) -> None:
        self.session.cancel()

    def close(self) -> None:
        self.session.close()
        self._held.close()


class JobsHere:
    """Opens jobs in this process; models are loaded once for all jobs that use the same ones.

    threads: of the networks; 0: as each job's settings say. seconds: of a segment. engines: that
    others use, too; None: of its own.
    """

    def __init__(
        self, threads: int = 0, seconds: float = SECONDS, engines: Engines | None = None
    ) -> None:
        self._threads, self._seconds = threads, seconds
        self._engines = engines or Engines()

    def open(self, task: Task) -> JobHere:
        config = config_of(task.job.config)
        return self.open_config(task.job.id, config, short=task.short)

    def open_config(self, job_id: str, config: Config, *, short: bool) -> JobHere:
        """short: whether memory was short at an earlier attempt at the job."""
        if self._threads and not config.runtime.threads:
            config = replace(config, runtime=replace(config.runtime, threads=self._threads))
        config = may_finish(config)
        job = checked(with_smaller_batch(config) if short else config)
        return JobHere(job_id, job, self._engines.of(job.config), self._seconds)

    def release_memory(self) -> None:
        self._engines.release()


def with_smaller_batch(config: Config) -> Config:
    """After a failure for want of memory. The frames are the same."""
    smaller = replace(config.restore, batch=1)
    return replace(config, restore=smaller, generate=replace(config.generate, vae_batch=1))
