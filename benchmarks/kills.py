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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import DONE, SEGMENT
from latentsync.jobs.worker import Worker, owner_here
from latentsync.media.reader import VideoReader
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config

SETTINGS = ["restore.when=always", "output.codec=ffv1"]
"""Lossless, so that frames can be compared with those of a run that nothing stopped."""
DEMO = Path(__file__).parents[1] / "assets" / "demo_lipsynced.mp4"


@dataclass(frozen=True, slots=True)
class KillResult:
    """kills: that hit a worker. states: of the jobs. whole: whether the frames of every video are
    those of an uninterrupted run. begun, needed: attempts at segments, and segments. stray: files
    beside the outputs that do not belong there."""

    kills: int
    states: list[str]
    whole: bool
    begun: int
    needed: int
    stray: list[str]


def killed(
    videos: Sequence[Path], folder: Path, kills: int, *, seconds: float, most: float, seed: int = 0
) -> KillResult:
    """Renders the videos with one worker after the other, each killed after a random time.

    seconds: of a segment. most: seconds until a worker is killed. This process must not have run a
    network yet: workers are forks of it.
    """
    files, outputs = JobFiles(folder / "state"), folder / "out"
    configs = [_config(video, outputs / f"{n}.mkv") for n, video in enumerate(videos)]
    store = open_store(files)
    for number, config in enumerate(configs):
        target = str(config.output.path)
        store.add(f"job{number}", videos[number].name, target, dataclasses.asdict(config))
    store.close()  # a connection must not be carried into a fork
    chance, hit = random.Random(seed), 0
    while hit < kills:
        process = _forked(files, seconds)
        time.sleep(chance.uniform(0.1, most))
        ended, _ = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        hit += 1
    os.waitpid(_forked(files, seconds), 0)
    store = open_store(files)
    jobs = store.jobs()
    attempts = [one for job in jobs for one in store.attempts(job.id) if one["kind"] == SEGMENT]
    wanted = {f"{n}.{suffix}" for n in range(len(videos)) for suffix in ("mkv", "report.json")}
    return KillResult(
        hit,
        [job.state for job in jobs],
        all(_is_whole(one, folder / f"{n}.mkv") for n, one in enumerate(configs)),
        len(attempts),
        sum(one["outcome"] == DONE for one in attempts),
        sorted({path.name for path in outputs.iterdir()} - wanted),
    )


def _config(video: Path, target: Path) -> Config:
    flags = {"input.video": str(video), "output.path": str(target)}
    return load_config(None, SETTINGS, flags=flags)


def _forked(files: JobFiles, seconds: float) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        Worker(files, owner_here(), seconds=seconds).run()
        code = 0
    finally:
        os._exit(code)


def _is_whole(config: Config, target: Path) -> bool:
    """target: a file for the same, rendered without a stop."""
    with Session(Engine(config), str(config.input.video), config=config) as session:
        session.render(target)
    pairs = zip(VideoReader(target), VideoReader(str(config.output.path)), strict=True)
    try:
        return all(
            np.array_equal(one.pixels, other.pixels) and one.pts == other.pts
            for one, other in pairs
        )
    except ValueError:  # one of them is shorter
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="*", type=Path, default=[DEMO] * 3)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--segment", type=float, default=1.0, help="seconds of a segment")
    parser.add_argument("--most", type=float, default=20.0, help="seconds until a kill, at most")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = killed(
            options.videos, Path(folder), options.kills, seconds=options.segment, most=options.most
        )
    print(f"{result.kills} kills; jobs: {', '.join(result.states)}")
    print(f"frames as of an uninterrupted run: {'all' if result.whole else 'NOT all'}")
    lost = result.begun - result.needed
    each = lost / max(1, result.kills)
    print(f"{result.needed} segments; {lost} were begun again, {each:.2f} a kill")
    print(f"files that do not belong there: {', '.join(result.stray) or 'none'}")
    return 0 if result.whole and not result.stray else 1


if __name__ == "__main__":
    sys.exit(main())
