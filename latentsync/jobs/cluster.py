"""Works on the jobs of a store with the machines of a Ray cluster.

The process that calls work_on_cluster keeps the store. It has a thread for each worker on another
machine: the thread leases a task, hands it to the worker, and gets the result; where the worker is
gone, the task goes back to the store, and the thread starts another worker.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError
from latentsync.jobs import rows
from latentsync.jobs.cluster_jobs import JobsOfRun, OnNode, streamed
from latentsync.jobs.cluster_node import NodeWorker
from latentsync.jobs.failures import WorkerLostError
from latentsync.jobs.file_blocks import blocks
from latentsync.jobs.places import JobFiles
from latentsync.jobs.ray_cluster import (
    LOOK,
    RESTARTS,
    Share,
    Waiting,
    check_version,
    connected,
    machines,
    new_process,
    on,
    shares,
)
from latentsync.jobs.store import Store
from latentsync.jobs.worker import Worker, owner_here
from latentsync.pipeline.segments.borders import SECONDS

logger = logging.getLogger(__name__)


def work_on_cluster(
    files: JobFiles,
    ids: Sequence[str],
    address: str,
    *,
    workers: int | None = None,
    seconds: float = SECONDS,
    copies: bool = False,
) -> None:
    """Works until no job is open.

    address: of the cluster; auto: that of RAY_ADDRESS, else one is started here. workers: on each
    machine; None: one for each GPU or, without GPUs, for each CORES cores. copies: whether machines
    get copies even of files that they see. Raises ConfigError: Ray is missing, the cluster cannot
    be reached, or none of its machines can work.
    """
    ray, ours = connected(address)
    try:
        _Run(ray, _Logged(files.root), ids, workers=workers, seconds=seconds, copies=copies).work()
    finally:
        if ours:
            ray.shutdown()


class ClusterWorker(NodeWorker):
    """A worker whose files come through Ray's object store. home: the node that has them."""

    def __init__(self, token: str, folder: str, seconds: float, home: str) -> None:
        super().__init__(token, seconds)
        self.own_process(folder)
        self._home = home

    def _read(self, path: str) -> Iterable[bytes]:
        import ray

        task: Any = ray.remote(blocks).options(**streamed(), num_cpus=0, **on(self._home))
        return (ray.get(one) for one in task.remote(path))

    def _plan_of(self, plan: Any) -> Mapping[str, bytes]:
        import ray

        contents: Mapping[str, bytes] = ray.get(plan[0])
        return contents


class _Logged(JobFiles):
    """What workers log reaches the job's log as it comes: see cluster_jobs."""

    def log(self, job_id: str) -> Any:
        self.folder(job_id).mkdir(parents=True, exist_ok=True)
        return nullcontext()


class _Run:
    """Workers on all machines, until no job is open."""

    def __init__(
        self,
        ray: Any,
        files: JobFiles,
        ids: Sequence[str],
        *,
        workers: int | None,
        seconds: float,
        copies: bool,
    ) -> None:
        self.ray, self.files, self.ids = ray, files, ids
        self._workers, self.seconds = workers, seconds
        self.token = uuid.uuid4().hex
        self.home = ray.get_runtime_context().get_node_id()
        self.jobs = JobsOfRun(self.token, lambda plan: [ray.put(plan)], copies=copies)
        self.refused: list[str] = []
        self._seats: dict[str, list[_Seat]] = {}

    def work(self) -> None:
        store = Store(self.files.store)
        try:
            while any(store.job(one).state in rows.OPEN for one in self.ids):
                self._take_places()
                if not any(seat.is_alive() for seats in self._seats.values() for seat in seats):
                    why = "; ".join(dict.fromkeys(self.refused)) or "no machine with free cores"
                    raise ConfigError("the cluster cannot work", why, "see docs/jobs.md")
                time.sleep(LOOK)
        finally:
            store.close()
            self._leave()

    def nodes(self) -> dict[str, Mapping[str, float]]:
        return machines(self.ray)

    def _take_places(self) -> None:
        for node, resources in self.nodes().items():
            if node not in self._seats:
                first = sum(map(len, self._seats.values()))
                given = enumerate(shares(resources, self._workers), first)
                self._seats[node] = [_Seat(self, node, number, one) for number, one in given]
                for seat in self._seats[node]:
                    seat.start()

    def _leave(self) -> None:
        seats = [seat for several in self._seats.values() for seat in several]
        for seat in seats:
            seat.stop()
        for seat in seats:
            seat.join()
        self.jobs.remove_marks()


class _Seat(threading.Thread):
    """Keeps a worker on a machine. share: its CPU cores and GPUs."""

    def __init__(self, run: _Run, node: str, number: int, share: Share) -> None:
        super().__init__(daemon=True)
        self._run_of, self._node, self._share = run, node, share
        self._owner = owner_here(number)
        self._stop_asked = threading.Event()
        self._worker: Worker | None = None

    def stop(self) -> None:
        """The task at hand is given back."""
        self._stop_asked.set()
        if self._worker is not None:
            self._worker.stop()

    def run(self) -> None:
        run, ray = self._run_of, self._run_of.ray
        for _ in range(1 + RESTARTS):
            actor = None
            try:
                actor = self._new_actor()
                self._wait_for(actor)
                if self._stop_asked.is_set():
                    return
                self._work(actor)
                with suppress(ray.exceptions.RayError):
                    ray.get(actor.remove_copies.remote(), timeout=5)
                return
            except (WorkerLostError, ray.exceptions.RayError) as error:
                reason = " ".join(str(error).split())[:300]
                run.refused.append(reason)
                logger.warning("a worker is lost: %s", reason)
            except ConfigError as error:
                run.refused.append(str(error))
                logger.warning("%s", error)
                return
            finally:
                if actor is not None:
                    with suppress(ray.exceptions.RayError):
                        ray.kill(actor)
            if self._node not in run.nodes() or self._stop_asked.is_set():
                return

    def _new_actor(self) -> Any:
        run = self._run_of
        given = run.token, str(Path.cwd()), run.seconds, run.home
        return new_process(run.ray, ClusterWorker, self._node, self._share, *given)

    def _wait_for(self, actor: Any) -> None:
        """Until it has started. Raises ConfigError where it runs another version of the program."""
        run, waiting = self._run_of, Waiting(self._node, self._share)
        about = actor.about.remote()
        while not run.ray.wait([about], timeout=LOOK)[0]:
            if self._stop_asked.is_set():
                return
            if self._node not in run.nodes():
                raise WorkerLostError(self._node, "the machine left the cluster")
            waiting.look()
        check_version(run.ray.get(about))

    def _work(self, actor: Any) -> None:
        run = self._run_of
        place = OnNode(run.ray, run.jobs, run.files, actor, self._node[:8])
        worker = Worker(run.files, self._owner, jobs=run.ids, place=place)
        self._worker = worker
        if self._stop_asked.is_set():
            worker.stop()
        worker.run()
