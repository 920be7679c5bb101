"""What jobs cost: segments against one go, many short videos, two workers against one.

    python -m benchmarks.jobs segments [--seconds 60] [--lengths 20 5]
    python -m benchmarks.jobs many [--clips 30]
    python -m benchmarks.jobs workers [--clips 4]

Seconds are CPU seconds of all threads: on a busy machine they vary less than wall time. For memory:
python -m benchmarks.memory VIDEO --times 10 --resume.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from benchmarks.big_frames import write
from latentsync.commands.console import use_threads
from latentsync.jobs.engines import Engines
from latentsync.jobs.open_job import JobsHere
from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.worker import Worker, owner_here
from latentsync.media.reader import VideoReader
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import Job, checked
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from latentsync.pipeline.segments.identity import identity_of
from latentsync.pipeline.segments.render import InSegments
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.types import Frame

DEMO = Path(__file__).parents[1] / "assets" / "demo_lipsynced.mp4"
SETTINGS = ("restore.when=always",)
FRAMES, BLOCK = 12, 5  # of a short clip; clips that one way renders before it is the other's turn


class Cost(NamedTuple):
    """cpu, wall: seconds."""

    cpu: float
    wall: float


def cost_of(work: Callable[[], object]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def to_and_fro(video: Path, target: Path, count: int) -> None:
    """Frames of the video, forwards and backwards in turns: a long video without a cut."""
    frames = [frame.pixels for frame in islice(VideoReader(video), count)]
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    height, width = frames[0].shape[:2]
    write(target, (frames[order[n % len(order)]] for n in range(count)), (width, height), 25)


def psnr(frames: Iterable[Frame], videos: Sequence[Path]) -> list[float]:
    """dB, RGB, over all pixels of all frames: of each video against the frames before they were
    encoded."""
    readers = [iter(VideoReader(one)) for one in videos]
    errors: list[list[float]] = [[] for _ in videos]
    for frame in frames:
        for reader, errors_of_one in zip(readers, errors, strict=True):
            off = next(reader).pixels.astype(np.float32) - frame.pixels
            errors_of_one.append(float(np.mean(off * off)))
    return [10 * np.log10(255**2 / np.mean(one)) for one in errors]


def segments(folder: Path, seconds: float, lengths: Sequence[float]) -> Iterator[str]:
    """One go, then segments of each length [s], from one plan; lines of a Markdown table."""
    video = folder / "long.mp4"
    to_and_fro(DEMO, video, round(25 * seconds))
    yield "| | segments | CPU s | against one go | size [kB] | against one go | PSNR [dB] |"
    yield "|---|---|---|---|---|---|---|"
    job = checked(_config(video, folder / "whole.mp4"))
    engine = Engine(job.config)
    with _session(engine, job) as session:
        session.make_plan()
        costs, counts, files = [cost_of(lambda: session.render(job.output))], [1], [job.output]
        for length in lengths:
            parts = checked(_config(video, folder / f"{length:g}.mp4"))
            costs.append(
                cost_of(
                    lambda parts=parts, length=length: _in_segments(  # type: ignore[misc]
                        engine, session, parts, length, counts
                    )
                )
            )
            files.append(parts.output)
        targets = [one.target for one in files]
        fidelity = psnr(session.frames(), targets)
    names = ["one go", *(f"{one:g} s" for one in lengths)]
    sizes = [one.stat().st_size for one in targets]
    for row in zip(names, counts, costs, sizes, fidelity, strict=True):
        name, count, cost, size, decibels = row
        more, larger = cost.cpu / costs[0].cpu - 1, size / sizes[0] - 1
        yield (
            f"| {name} | {count} | {cost.cpu:.1f} | {more:+.1%} | {size / 1e3:.0f} | {larger:+.2%} "
            f"| {decibels:.3f} |"
        )


def _in_segments(
    engine: Engine, session: Session, job: Job, length: float, counts: list[int]
) -> None:
    """Appends the number of segments to the counts."""
    folder = SegmentFolder(folder_of(job.output.target), identity_of(job, engine))
    write_segments = InSegments(folder, length)
    counts.append(len(write_segments.begin(session, session.make_plan(), [])))
    session.render(job.output, write=write_segments)


def many(folder: Path, clips: int) -> Iterator[str]:
    """Jobs of half a second against the same videos rendered one after the other."""
    clip = folder / "clip.mp4"
    to_and_fro(DEMO, clip, FRAMES)
    engine = Engine(_config(clip, folder / "x.mp4"))
    files = JobFiles(folder / "state")
    store = open_store(files)

    def plain(numbers: Iterable[int]) -> None:
        for number in numbers:
            job = checked(_config(clip, folder / f"plain{number}.mp4"))
            with _session(engine, job) as session:
                session.render(job.output)

    def jobs(numbers: Iterable[int]) -> None:
        place = JobsHere(engines=Engines(loaded=[engine]))  # as after its first job
        wanted = [f"job{number}" for number in numbers]
        Worker(files, owner_here(), jobs=wanted, place=place).run()

    def added(numbers: Iterable[int]) -> None:
        for number in numbers:
            config = _config(clip, folder / f"job{number}.mp4")
            target = str(config.output.path)
            files.write(store.add(f"job{number}", clip.name, target, dataclasses.asdict(config)))

    blocks = [range(first, min(first + BLOCK, clips)) for first in range(0, clips, BLOCK)]
    ways = {"rendered": plain, "added as jobs": added, "worked on": jobs}
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    warm = range(clips, clips + 1)
    for block in [warm, *blocks]:
        for name, way in ways.items():
            cost = cost_of(lambda way=way, block=block: way(block))  # type: ignore[misc]
            if block is not warm:
                costs[name].append(Cost(*(one / len(block) for one in cost)))
    store.close()
    medians = {
        name: Cost(median(one.cpu for one in all_of), median(one.wall for one in all_of))
        for name, all_of in costs.items()
    }
    for name, cost in medians.items():
        yield f"{name:14} {cost.cpu:6.3f} s of CPU, {cost.wall:6.3f} s a clip"
    base, add, work = medians.values()
    cpu, wall = (work[n] + add[n] - base[n] for n in (0, 1))
    load = os.getloadavg()[0]
    yield f"{'overhead':14} {cpu:6.3f} s of CPU, {wall:6.3f} s a clip; load {load:.0f}"


def workers(folder: Path, clips: int) -> Iterator[str]:
    """The command with one worker and with two."""
    videos = folder / "videos"
    videos.mkdir()
    for number in range(clips):
        to_and_fro(DEMO, videos / f"{number}.mp4", 50)
    for count in (1, 2):
        command = [sys.executable, "-m", "scripts.batch", "--input_dir", str(videos), "--quiet"]
        places = ["--output_dir", f"{folder}/out{count}", "--state_dir", f"{folder}/state{count}"]
        begin = time.perf_counter()
        process = subprocess.Popen(
            [*command, *places, "--workers", str(count), *SETTINGS], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        cpu, wall = usage.ru_utime + usage.ru_stime, time.perf_counter() - begin
        yield (
            f"{count} worker{'s' * (count > 1)}: {cpu:6.1f} s of CPU, {wall:6.1f} s; largest "
            f"process {usage.ru_maxrss / 1024:.0f} MB; load {os.getloadavg()[0]:.0f}"
        )


def _config(video: Path, target: Path) -> Config:
    return load_config(
        None, SETTINGS, flags={"input.video": str(video), "output.path": str(target)}
    )


def _session(engine: Engine, job: Job) -> Session:
    return Session(engine, job.source, audio=job.audio, config=job.config)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("segments", "many", "workers"))
    parser.add_argument("--seconds", type=float, default=60.0, help="of the video in segments")
    parser.add_argument("--lengths", type=float, nargs="+", default=[20.0, 5.0], metavar="S")
    parser.add_argument("--clips", type=int, help="default: 30, of workers 4")
    options = parser.parse_args(arguments)
    use_threads(int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0)))
    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = {
            "segments": lambda: segments(folder, options.seconds, options.lengths),
            "many": lambda: many(folder, options.clips or 30),
            "workers": lambda: workers(folder, options.clips or 4),
        }[options.what]()
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
