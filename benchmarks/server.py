"""The server under load, and killed in the middle: how long answers take, and what is lost.

    python -m benchmarks.server                             # 200 clients, two jobs of the demo clip
    python -m benchmarks.server --clients 5 --jobs 1 --no_page VIDEO

Half of the clients ask for their job again and again, half watch its events. When a job is being
worked on, the server is killed with SIGKILL, and started again: every job has to be completed.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import httpx2

from benchmarks.server_process import Server, serving, wait_for
from latentsync.client import Client, Job, ServerError
from latentsync.media.probe import probe

DEMO = Path(__file__).parents[1] / "assets" / "demo_lipsynced.mp4"
PAUSE = 1.0  # seconds between two questions
LOOK = 0.5  # seconds between two looks at the memory
END_SECONDS = 600.0


@dataclass
class Load:
    """waits: of answers [s]. cpu: of the server meanwhile [s]. first: of a stream, until its first
    event [s]. memory: of the server [MiB]. errors: answers that were none, or no success."""

    waits: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    events: int = 0
    cpu: float = 0.0
    memory: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def put(self, server: Server, jobs: Sequence[str], clients: int, until: float) -> None:
        """until: progress of a job [%] at which the load ends; or all of them have ended."""
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=60) as http:
            asking = (
                self._watch(http, jobs[n % len(jobs)])
                if n % 2
                else self._ask(http, jobs[n % len(jobs)], n / clients * PAUSE)
                for n in range(clients)
            )
            before = server.cpu
            tasks = [asyncio.create_task(one) for one in asking]
            while not await _is_reached(http, jobs, until):
                self.memory.append(server.memory)
                await asyncio.sleep(LOOK)
            self.cpu = server.cpu - before
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, http: httpx2.AsyncClient, job: str, delay: float) -> None:
        await asyncio.sleep(delay)
        paths = (f"/v1/jobs/{job}", "/v1/jobs", "/healthz")
        for number in range(1_000_000):
            begin = time.monotonic()
            try:
                answer = await http.get(paths[number % len(paths)])
                self._note(answer.status_code)
                self.waits.append(time.monotonic() - begin)
            except httpx2.TransportError as error:
                self.errors.append(type(error).__name__)
            await asyncio.sleep(PAUSE)

    async def _watch(self, http: httpx2.AsyncClient, job: str) -> None:
        begin = time.monotonic()
        try:
            async with http.stream("GET", f"/v1/jobs/{job}/events") as answer:
                self._note(answer.status_code)
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        self.events += 1
                        if begin:
                            self.first.append(time.monotonic() - begin)
                            begin = 0.0
        except httpx2.TransportError as error:
            self.errors.append(type(error).__name__)

    def _note(self, status: int) -> None:
        if status != 200:
            self.errors.append(str(status))


async def _is_reached(http: httpx2.AsyncClient, jobs: Sequence[str], until: float) -> bool:
    found = [(await http.get(f"/v1/jobs/{job}")).json() for job in jobs]
    states = {one["state"] for one in found}
    if states & {"failed", "cancelled"}:
        raise SystemExit(f"a job has ended before its time: {found}")
    return states == {"completed"} or any(
        one["state"] == "in_progress" and one["progress"] >= until for one in found
    )


@dataclass
class Outcome:
    """start: seconds, and seconds of CPU. idle: RSS without a job [MiB]. page: seconds until it is
    there. orphaned: seconds that the engine outlived the server. frames: of each result, and of its
    source."""

    start: tuple[float, float]
    idle: float
    page: float | None
    load: Load
    killed_at: float
    orphaned: float
    restart: float
    states: list[str]
    frames: list[tuple[int, int]]


def measured(videos: Sequence[Path], clients: int, page: bool, kill_at: float) -> Outcome:
    """kill_at: progress [%] of a job at which the server is killed."""
    load = Load()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "state")
        with serving(state, page) as server:
            begin = time.monotonic() - server.seconds
            if page:
                wait_for(f"{server.url}/", "gradio")
            ready, idle = time.monotonic() - begin, server.memory
            with Client(server.url) as client:
                jobs = [
                    client.create(one, evaluate=False, restore__when="always").id for one in videos
                ]
                asyncio.run(load.put(server, jobs, clients, kill_at))
                killed_at = max(client.job(job).progress for job in jobs)
            orphaned = server.kill()
        with serving(state, page=False) as again, Client(again.url) as client:
            ended = [_waited(client, job) for job in jobs]
            results = [client.download(job, Path(folder, f"{job}.mp4")) for job in jobs]
            frames = [(_frames(r), _frames(v)) for r, v in zip(results, videos, strict=True)]
        start = server.seconds, server.start_cpu
        states = [job.state for job in ended]
        return Outcome(
            *(start, idle, ready if page else None, load, killed_at, orphaned),
            *(again.seconds, states, frames),
        )


def _waited(client: Client, job: str) -> Job:
    try:
        return client.wait(job, timeout=END_SECONDS)
    except (ServerError, TimeoutError) as error:
        raise SystemExit(f"{job}: {error}") from error


def _frames(video: Path) -> int:
    info = probe(video)
    return round(info.duration_seconds * float(info.average_rate))


def shown(outcome: Outcome) -> Iterator[str]:
    """The lines that are printed."""
    load = outcome.load
    page = "" if outcome.page is None else f", the page after {outcome.page:.1f} s"
    wall, cpu = outcome.start
    yield f"answers after {wall:.1f} s ({cpu:.1f} s of CPU){page}; idle: {outcome.idle:.0f} MiB"
    waits = [1000 * one for one in sorted(load.waits)]
    late = quantiles(waits, n=20)[-1] if len(waits) > 1 else max(waits, default=0.0)
    yield (
        f"{len(waits)} answers: median {median(waits):.0f} ms, p95 {late:.0f} ms, "
        f"slowest {waits[-1]:.0f} ms; errors: {len(load.errors)} {sorted(set(load.errors))}"
    )
    first = 1000 * median(load.first) if load.first else 0.0
    yield f"{len(load.first)} streams, first event after {first:.0f} ms; {load.events} events"
    yield f"CPU of the server: {1000 * load.cpu / max(len(waits), 1):.1f} ms for each answer"
    yield f"memory under load: {load.memory[0]:.0f} to {max(load.memory):.0f} MiB"
    yield (
        f"killed at {outcome.killed_at:.0f} %; the engine's process ended after "
        f"{outcome.orphaned:.1f} s; answers again after {outcome.restart:.1f} s"
    )
    yield f"jobs: {', '.join(outcome.states)}"
    lost = [pair for pair in outcome.frames if pair[0] != pair[1]]
    yield f"frames lost: {lost or 'none'}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path, default=[DEMO])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2, help="of the videos in turn")
    parser.add_argument("--kill_at", type=float, default=40.0, help="progress of a job [%%]")
    parser.add_argument("--no_page", action="store_true")
    options = parser.parse_args(arguments)
    videos = [options.videos[n % len(options.videos)] for n in range(options.jobs)]
    outcome = measured(videos, options.clients, not options.no_page, options.kill_at)
    print("\n".join(shown(outcome)))


if __name__ == "__main__":
    main()
