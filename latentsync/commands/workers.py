"""Runs the workers of a batch, in this process or in several, and shows how far they are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from tqdm import tqdm

from latentsync.commands.console import run, use_threads
from latentsync.commands.quiet import no_usage_report
from latentsync.jobs import rows
from latentsync.jobs.places import JobFiles
from latentsync.jobs.rows import JobRow
from latentsync.jobs.store import Store
from latentsync.jobs.worker import Worker, owner_here
from latentsync.runtime.device import thread_count

LOOK = 0.5
"""Seconds between two looks at the store."""
RESTARTS = 5
"""Of a worker's process that was killed; then the others go on without it."""


def work_on(
    files: JobFiles,
    ids: Sequence[str],
    workers: int | None,
    *,
    cluster: str | None = None,
    quiet: bool,
) -> bool:
    """Until no job is open. Returns False where it was interrupted.

    workers: processes; None: the default. cluster: see jobs.cluster; None: they work here.
    """
    monitor = _Monitor(files, ids, quiet=quiet)
    with monitor:
        try:
            if cluster is not None:
                _work_on_cluster(files, ids, cluster, workers)
            elif workers is None or workers == 1:
                _work_here(files, ids)
            else:
                _work_in_processes(files, ids, workers)
        except KeyboardInterrupt:
            return False
    return True


def _work_on_cluster(
    files: JobFiles, ids: Sequence[str], address: str, workers: int | None
) -> None:
    from latentsync.jobs.cluster import work_on_cluster

    no_usage_report()
    work_on_cluster(files, ids, address, workers=workers)


def _work_here(files: JobFiles, ids: Sequence[str]) -> None:
    use_threads(thread_count(0))
    Worker(files, owner_here(), jobs=ids).run()


def _work_in_processes(files: JobFiles, ids: Sequence[str], count: int) -> None:
    """One that was killed is started again: its task goes back to the store with its lease."""
    context = multiprocessing.get_context("spawn")
    threads = max(1, thread_count(0) // count)

    def started(number: int) -> BaseProcess:
        process = context.Process(
            target=_worker_process, args=(files.root, list(ids), number, threads, os.getpid())
        )
        with _ignoring_ctrl_c():
            process.start()
        return process

    running = [started(number) for number in range(count)]
    restarts, store = [0] * count, Store(files.store)
    try:
        while any(process.is_alive() for process in running):
            time.sleep(LOOK)
            open_jobs = any(job.state in rows.OPEN for job in store.some(ids))
            for number, process in enumerate(running):
                killed = not process.is_alive() and process.exitcode
                if killed and open_jobs and restarts[number] < RESTARTS:
                    restarts[number] += 1
                    running[number] = started(number)
    finally:
        for process in running:
            process.terminate()
            process.join()
        store.close()


@contextmanager
def _ignoring_ctrl_c() -> Iterator[None]:
    """A process that is started meanwhile ignores it: a terminal sends it to all, and it is this
    process that ends the others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _worker_process(root: Path, ids: Sequence[str], number: int, threads: int, parent: int) -> None:
    def work() -> int:
        use_threads(threads)
        worker = Worker(JobFiles(root), owner_here(number), jobs=ids, threads=threads)
        threading.Thread(target=_end_with, args=(parent, worker), daemon=True).start()
        worker.run()
        return 0

    sys.exit(run(work, quiet=True))


def _end_with(parent: int, worker: Worker) -> None:
    """A worker does not outlive the command that has started it."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    worker.stop()


class _Monitor:
    """Shows the state of jobs: a bar over all of them on a terminal, a line for each that ends."""

    def __init__(self, files: JobFiles, ids: Sequence[str], *, quiet: bool) -> None:
        self._files, self._ids, self._quiet = files, frozenset(ids), quiet
        self._ended: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        store = Store(self._files.store)
        hidden = self._quiet or not sys.stderr.isatty()
        layout = "{desc}: {percentage:3.0f}% |{bar}| {n}/{total} frames, {remaining} left"
        try:
            with tqdm(total=1, bar_format=layout, disable=hidden, dynamic_ncols=True) as bar:
                while not self._stop.wait(LOOK):
                    self._show(store, bar)
                self._show(store, bar)
        finally:
            store.close()

    def _show(self, store: Store, bar: tqdm) -> None:
        jobs = store.some(list(self._ids))
        for job in jobs:
            if job.state not in rows.OPEN and job.id not in self._ended:
                self._ended.add(job.id)
                if not self._quiet:
                    tqdm.write(f"{len(self._ended)}/{len(self._ids)} {_said(job)}", file=sys.stderr)
        now = [job.name for job in jobs if job.state == rows.RUNNING]
        bar.set_description(f"{len(self._ended)} of {len(self._ids)} done; {', '.join(now)}", False)
        bar.total = max(1, sum(job.frames for job in jobs))
        bar.n = sum(job.done for job in jobs)
        bar.refresh()


def _said(job: JobRow) -> str:
    end = job.output if job.state == rows.DONE else job.error or ""
    return f"{job.name}: {job.state}{': ' if end else ''}{end}"
