"""Jobs that are open in a worker of a cluster, seen from the process that keeps the store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from latentsync.jobs.cluster_files import PLAN_FILES, JobSpec, Reply, inputs_of, write
from latentsync.jobs.failures import WorkerLostError
from latentsync.jobs.places import JobFiles
from latentsync.jobs.ray_cluster import CONTROL, LOOK
from latentsync.jobs.rows import Task
from latentsync.jobs.shown import Shown
from latentsync.media.files import check_free
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from latentsync.pipeline.segments.identity import file_hash

logger = logging.getLogger(__name__)

_AHEAD = 2  # blocks of a file that are sent ahead


def streamed() -> dict[str, Any]:
    """How Ray runs a function that yields the blocks of a file."""
    return {"num_returns": "streaming", "_generator_backpressure_num_objects": _AHEAD}


class JobsOfRun:
    """What machines have to know of the jobs of one run; used by several threads at once.

    token: of the run. put: makes a plan's files known to the cluster, once. copies: whether
    machines get copies even of files that they see.
    """

    def __init__(self, token: str, put: Callable[[dict[str, bytes]], Any], *, copies: bool) -> None:
        self._token, self._put, self._copies = token, put, copies
        self._lock = threading.Lock()
        self._inputs: dict[str, dict[str, tuple[str, str]]] = {}
        self._plans: dict[str, tuple[bytes, Any]] = {}
        self._marks: set[Path] = set()

    def spec(self, task: Task) -> JobSpec:
        """As things are now."""
        job, folder = task.job, folder_of(Path(task.job.output))
        with self._lock:
            if job.id not in self._inputs:
                paths = {key: Path(one).absolute() for key, one in inputs_of(job.config).items()}
                self._inputs[job.id] = {k: (str(p), file_hash(p)) for k, p in paths.items()}
            mark = None if self._copies else str(self._marked(folder))
            plan = self._plan(job.id, folder)
        done = tuple(str(path) for path in folder.glob("[0-9]*.*"))
        inputs = self._inputs[job.id]
        return JobSpec(job.id, job.config, job.output, inputs, mark, plan, done, task.short)

    def remove_marks(self) -> None:
        """And the folders in which nothing else was made."""
        for mark in self._marks:
            mark.unlink(missing_ok=True)
            with suppress(OSError):
                mark.parent.rmdir()

    def _marked(self, folder: Path) -> Path:
        """Named as files that are being written are, which a folder of segments may hold."""
        mark = folder / f".{self._token}.part"
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
        self._marks.add(mark)
        return mark

    def _plan(self, job_id: str, folder: Path) -> Any:
        try:
            plan = {name: (folder / name).read_bytes() for name in PLAN_FILES}
        except OSError:
            return None
        known, reference = self._plans.get(job_id, (b"", None))
        if known != plan[PLAN_FILES[-1]]:
            reference = self._put(plan)
            self._plans[job_id] = plan[PLAN_FILES[-1]], reference
        return reference


class OnNode:
    """Opens jobs in a worker of a cluster. actor: the worker. name: of its machine."""

    def __init__(self, ray: Any, jobs: JobsOfRun, files: JobFiles, actor: Any, name: str) -> None:
        self._ray, self.jobs, self.files, self._actor = ray, jobs, files, actor
        self._name = name

    def open(self, task: Task) -> JobOnNode:
        return JobOnNode(self, task)

    def release_memory(self) -> None:
        self._actor.release_memory.remote()

    def read(self, path: str) -> Iterator[bytes]:
        """A file of that machine."""
        with self._losses():
            for one in self._actor.blocks.options(**streamed()).remote(path):
                yield self._ray.get(one)

    def call(self, method: str, arguments: tuple[Any, ...], tick: Callable[[], None]) -> Any:
        """What the worker returns; its error is raised. tick: called now and then meanwhile."""
        with self._losses():
            result = getattr(self._actor, method).remote(*arguments)
            while not self._ray.wait([result], timeout=LOOK)[0]:
                tick()
            tick()
            return self._ray.get(result)

    def ask(self, method: str) -> Any:
        """Of its second thread, while a task runs; None: no answer."""
        with suppress(self._ray.exceptions.RayError):
            question = getattr(self._actor, method).options(concurrency_group=CONTROL)
            return self._ray.get(question.remote(), timeout=10 * LOOK)
        return None

    @contextmanager
    def _losses(self) -> Iterator[None]:
        errors = self._ray.exceptions
        try:
            yield
        except errors.RayTaskError as error:
            if isinstance(error.cause, Exception):
                raise error.cause from error
            raise
        except errors.RayError as error:
            reason = " ".join(str(error).split())[:200]
            raise WorkerLostError(self._name, reason) from error


class JobOnNode:
    """A job that is worked on there. What it makes is copied to where the output is, unless the
    machine sees that place."""

    def __init__(self, place: OnNode, task: Task) -> None:
        self.id, self._place, self._task = task.job.id, place, task
        self._target = Path(task.job.output)
        self._folder = folder_of(self._target)
        self._spec = place.jobs.spec(task)

    def plan(self, shown: Shown) -> list[int]:
        reply = self._call("plan", shown)
        if reply.files:
            about = next(path for path in reply.files if path.endswith(PLAN_FILES[-1]))
            there = self._folder / PLAN_FILES[-1]
            if there.exists() and there.read_bytes() != b"".join(self._place.read(about)):
                SegmentFolder(self._folder, {}).remove()  # of other work
            self._copy(reply.files, self._folder)
        frames: list[int] = reply.value
        return frames

    def make(self, number: int, shown: Shown) -> bool:
        reply = self._call("make", shown, number)
        self._copy(reply.files, self._folder)
        return bool(reply.value)

    def render(self, shown: Shown) -> None:
        self._spec = self._place.jobs.spec(self._task)
        reply = self._call("render", shown)
        if reply.files:
            check_free(self._target, overwrite=self._task.job.config["output"]["overwrite"])
            self._copy(reply.files, self._target.parent)

    def cancel(self) -> None:
        self._place.ask("cancel")

    def close(self) -> None:
        with suppress(WorkerLostError):
            self._place.call("close", (), lambda: None)

    def _call(self, method: str, shown: Shown, *more: Any) -> Reply:
        def tick() -> None:
            stage, said = self._place.ask("progress") or (shown.stage, [])
            shown.stage = stage
            for level, line in said:
                self._place.files.note(self.id, line)
                logger.log(level, "%s: %s", self._task.job.name, line)

        reply: Reply = self._place.call(method, (self._spec, *more), tick)
        return reply

    def _copy(self, paths: Iterable[str], folder: Path) -> None:
        for path in paths:
            write(folder / Path(path).name, self._place.read(path))
