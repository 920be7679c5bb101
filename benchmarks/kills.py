"""Kills a batch with SIGKILL at random times until it is done: is every video whole, what was lost?

python -m benchmarks.kills --kills 30 a.mp4 b.mp4 c.mp4
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import DONE, OPEN, SEGMENT
from latentsync.jobs.store import Store
from latentsync.jobs.worker import Worker, owner_here
from latentsync.media.reader import VideoReader
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config

SETTINGS = ["restore.when=always", "output.codec=ffv1"]
"""Lossless, so that frames can be compared with those of a run that nothing stopped."""
LOOK = 0.02  # seconds between two looks at the store
DEMO = Path(__file__).parents[1] / "assets" / "demo_lipsynced.mp4"


@dataclass(frozen=True, slots=True)
class KillResult:
    """kills: that hit a worker. lost: kind of each task that was begun and lost. doubled: tasks
    that were done again. states: of the jobs. whole: whether the frames of every video are those of
    an uninterrupted run. segments: number of segments. stray: files beside the outputs that do not
    belong there."""

    kills: int
    lost: list[str]
    doubled: int
    states: list[str]
    whole: bool
    segments: int
    stray: list[str]


def killed(
    videos: Sequence[Path],
    folder: Path,
    kills: int,
    *,
    seconds: float,
    workers: int = 1,
    most: float | None = None,
    seed: int = 0,
) -> KillResult:
    """Renders the videos while workers are killed, and others started in their place: at a random
    time after a task, or two, were begun; most kills would hit the loading of models otherwise.

    workers: at once. seconds: of a segment. most: seconds from then to the kill; None: a quarter of
    what a video takes in one go. This process must not have run a network yet: workers are forks.
    """
    files, outputs = JobFiles(folder / "state"), folder / "out"
    configs = [_config(video, outputs / f"{n}.mkv") for n, video in enumerate(videos)]
    wholes = [folder / f"{n}.mkv" for n in range(len(videos))]
    begin = time.monotonic()
    os.waitpid(_forked(lambda: _render(configs, wholes)), 0)
    most = most or (time.monotonic() - begin) / 4 / len(videos)
    with closing(open_store(files)) as store:  # a connection must not be carried into a fork
        for number, config in enumerate(configs):
            target, settings = str(config.output.path), dataclasses.asdict(config)
            files.write(store.add(f"job{number}", videos[number].name, target, settings))
    chance, hit = random.Random(seed), 0
    running = [_forked(lambda: _work(files, seconds)) for _ in range(workers)]
    while hit < kills and _comes(files, _begun(files) + chance.choice((1, 1, 1, 2))):
        time.sleep(chance.uniform(0, most))
        victim = running.pop(chance.randrange(workers))
        if not _has_ended(victim):
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            hit += 1
        running.append(_forked(lambda: _work(files, seconds)))
    for process in running:
        os.waitpid(process, 0)
    with closing(open_store(files)) as store:
        jobs = store.jobs()
        attempts = [one for job in jobs for one in store.attempts(job.id)]
        tasks = [one for job in jobs for one in store.tasks(job.id)]
    names = {f"{n}.{suffix}" for n in range(len(videos)) for suffix in ("mkv", "report.json")}
    return KillResult(
        hit,
        [one["kind"] for one in attempts if one["outcome"] != DONE],
        sum(one["outcome"] == DONE for one in attempts) - len(tasks),
        [job.state for job in jobs],
        all(_is_equal(one, outputs / one.name) for one in wholes),
        sum(one["kind"] == SEGMENT for one in tasks),
        sorted({path.name for path in outputs.iterdir()} - names),
    )


def _config(video: Path, target: Path) -> Config:
    flags = {"input.video": str(video), "output.path": str(target)}
    return load_config(None, SETTINGS, flags=flags)


def _forked(work: Callable[[], None]) -> int:
    """The number of a new process that does the work."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _begun(files: JobFiles) -> int:
    """Number of tasks that were begun."""
    with closing(Store(files.store)) as store:
        return sum(len(store.attempts(job.id)) for job in store.jobs())


def _comes(files: JobFiles, wanted: int) -> bool:
    """Waits until that many tasks were begun; False: nothing is left to do."""
    while _begun(files) < wanted:
        with closing(Store(files.store)) as store:
            if not store.jobs(OPEN):
                return False
        time.sleep(LOOK)
    return True


def _has_ended(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG)[0] != 0


def _work(files: JobFiles, seconds: float) -> None:
    Worker(files, owner_here(), seconds=seconds).run()


def _render(configs: Sequence[Config], targets: Sequence[Path]) -> None:
    """Without segments, in one go."""
    engine = Engine(configs[0])
    for config, target in zip(configs, targets, strict=True):
        with Session(engine, str(config.input.video), config=config) as session:
            session.render(target)


def _is_equal(one: Path, other: Path) -> bool:
    """Whether all frames and their times are."""
    pairs = zip_longest(VideoReader(one), VideoReader(other))
    return all(
        a is not None
        and b is not None
        and np.array_equal(a.pixels, b.pixels)
        and a.pts_seconds == b.pts_seconds
        for a, b in pairs
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path, default=[DEMO] * 3)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1, help="processes at once")
    parser.add_argument("--segment", type=float, default=1.0, help="seconds of a segment")
    parser.add_argument("--most", type=float, help="seconds from a task's beginning to a kill")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = killed(
            options.videos,
            Path(folder),
            options.kills,
            seconds=options.segment,
            workers=options.workers,
            most=options.most,
        )
    print(f"{result.kills} kills; jobs: {', '.join(result.states)}")
    print(f"frames as of an uninterrupted run: {'all' if result.whole else 'NOT all'}")
    lost = ", ".join(f"{count} {kind}" for kind, count in Counter(result.lost).items())
    print(f"{result.segments} segments; begun and lost: {lost or 'nothing'}")
    print(f"done twice: {result.doubled}")
    print(f"files that do not belong there: {', '.join(result.stray) or 'none'}")
    few = len(result.lost) <= result.kills and set(result.states) == {DONE}
    return 0 if result.whole and few and not result.doubled and not result.stray else 1


if __name__ == "__main__":
    sys.exit(main())
