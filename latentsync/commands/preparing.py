"""`prepare_data`: its processes, how it shows how far it has come, and its summary."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from latentsync.commands.console import DONE, USER_ERROR
from latentsync.commands.quiet import no_usage_report
from latentsync.commands.worker_process import ignore_interrupts, in_worker
from latentsync.errors import CheckpointError
from latentsync.evaluate.words import counted
from latentsync.jobs.ray_cluster import connected
from latentsync.pipeline.requirements import ensure_face_models
from latentsync.settings.schema import Config
from latentsync.training.preparation.cluster import CORES, work_on_cluster
from latentsync.training.preparation.inputs import Input
from latentsync.training.preparation.overview import minutes
from latentsync.training.preparation.run import Options, Outcome, Pool, checked_inputs, prepare
from latentsync.training.preparation.settings import PreparationSettings
from latentsync.training.preparation.splitting import TRAIN, VALIDATION
from latentsync.training.preparation.table import StepSum, sums
from latentsync.training.preparation.workers import work_on
from latentsync.weights.ensure import ensure_weights
from latentsync.weights.manifest import LR_ASD
from latentsync.weights.model_file import readable

logger = logging.getLogger(__name__)

_EVERY = 30.0  # seconds from one line of progress to the next, where there is no terminal


def run_preparation(
    folder: Path,
    output: Path,
    settings: PreparationSettings,
    options: Options,
    config: Config,
    *,
    workers: int | None,
    cluster: str | None = None,
    quiet: bool,
) -> int:
    """Exit code: 2 if the program failed on a file. Raises as run.prepare does, and ConfigError
    where there is no cluster, before any work.

    workers: processes, of each machine; None: the default. cluster: see jobs.ray_cluster.connected;
    None: all processes run here.
    """
    checked_inputs(folder, output, settings, options, config)
    with _processes(cluster, workers, output) as pool, Progress(quiet=quiet) as progress:
        _fetch(config)
        offline = replace(config, weights=replace(config.weights, offline=True))
        outcome = prepare(
            folder,
            output,
            settings,
            options,
            offline,
            pool=pool,
            set_up=in_worker if cluster is None else partial(_on_machine, config),
            set_up_inspection=ignore_interrupts,
            watcher=progress,
        )
    for line in summary(outcome, output):
        print(line)
    return USER_ERROR if outcome.failed else DONE


@contextmanager
def _processes(cluster: str | None, workers: int | None, output: Path) -> Iterator[Pool]:
    if cluster is None:
        count = workers or max(1, (os.cpu_count() or 1) // CORES)
        yield lambda tasks, start: work_on(tasks, count, start)
        return
    no_usage_report()
    ray, ours = connected(cluster)
    try:
        yield lambda tasks, start: work_on_cluster(ray, tasks, start, output, workers=workers)
    finally:
        if ours:
            ray.shutdown()


def _on_machine(config: Config) -> None:
    """In a process of a cluster, whose machine may lack small models."""
    in_worker()
    _fetch(config)


def _fetch(config: Config) -> None:
    """Here and not in the workers, which would all download the same."""
    ensure_face_models(config)
    weights = config.weights
    try:
        ensure_weights([(LR_ASD, None)], folders=weights.folders, offline=weights.offline)
    except CheckpointError as error:
        logger.warning("who speaks is decided without LR-ASD: %s", error)


class Progress:
    """A run.Watcher: a bar on a terminal, else a line now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: tqdm | None = None
        self._begin = self._said = time.monotonic()
        self._files = self._ended = 0
        self._seconds = self._done = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def found(self, files: int, finished: int, seconds: float, room: int) -> None:
        self._files, self._seconds = files - finished, seconds
        self._begin = self._said = time.monotonic()
        if self._quiet:
            return
        done = f", {finished} finished before" if finished else ""
        print(
            f"{files} files{done}; {minutes(seconds)} of video to prepare, for which at most "
            f"about {readable(room)} of disk are needed",
            file=sys.stderr,
        )
        if sys.stderr.isatty():
            layout = "{desc}: {percentage:3.0f}% |{bar}| {remaining} left"
            self._bar = tqdm(desc="preparing", total=seconds or 1, bar_format=layout)

    def advanced(self, seconds: float) -> None:
        self._done += seconds
        if self._bar is not None:
            self._bar.update(seconds)
        elif not self._quiet and time.monotonic() - self._said > _EVERY:
            self._said = time.monotonic()
            print(self._line(), file=sys.stderr)

    def ended(self, one: Input, error: str | None) -> None:
        self._ended += 1
        if error is not None:
            tqdm.write(f"error: {one.name}: {error}", file=sys.stderr)

    def _line(self) -> str:
        spent = time.monotonic() - self._begin
        left = spent * (self._seconds / self._done - 1) if self._done else 0.0
        known = f", about {minutes(max(left, 0.0))} left" if self._done else ""
        read = f"{minutes(self._done)} of {minutes(self._seconds)} of video"
        return f"preparing: {self._ended} files ended, {read}{known}"


def summary(outcome: Outcome, output: Path) -> list[str]:
    """Lines: what was kept, what each step dropped and why, what nobody judged."""
    total = sum(clip.seconds for clip in outcome.clips)
    seconds = sum(one.seconds for one in outcome.inputs)
    lines = [
        f"{counted(len(outcome.inputs), 'file')}, {minutes(seconds)} of video -> "
        f"{counted(len(outcome.clips), 'clip')}, {minutes(total)}"
    ]
    for one in sums(outcome.rows):
        lines += _of_step(one)
    lines += _of_split(outcome)
    if outcome.unused:
        count = counted(len(outcome.unused), "folder")
        lines.append(f"{output / 'clips'}: {count} of earlier runs in no list any more")
    lines.append(f"{output}: train.txt, validation.txt, {outcome.shards} shards, clips.csv")
    lines.append(f"look at {output / 'overview.html'}")
    return lines


def _of_step(one: StepSum) -> list[str]:
    why, doubts = _told(one.reasons), _told(one.doubts)
    lines = []
    if one.failed:
        lines.append(f"  {one.failed} files failed: {why}")
    if one.dropped:
        time_lost = minutes(one.dropped_seconds)
        lines.append(f"  {one.step:<10} dropped {one.dropped:>5}, {time_lost:>9}: {why}")
    if one.not_judged:
        kept = minutes(one.not_judged_seconds)
        lines.append(
            f"  {one.step:<10} NOT JUDGED {one.not_judged}, {kept}, which were kept: {doubts}"
        )
    return lines


def _told(reasons: Counter[str]) -> str:
    """The three most frequent ones."""
    return "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))


def _of_split(outcome: Outcome) -> list[str]:
    split = outcome.split
    lengths: Counter[str] = Counter()
    for clip in outcome.clips:
        lengths[split.parts[clip.name]] += round(clip.seconds)
    speakers = {part: set[str]() for part in (TRAIN, VALIDATION)}
    for name, part in split.parts.items():
        speakers[part].add(split.speakers[name])
    said = ", ".join(
        f"{part}: {minutes(lengths[part])} of {counted(len(who), 'speaker')}"
        for part, who in speakers.items()
    )
    return [f"{said} (told apart by {split.way})", *[f"note: {note}" for note in split.notes]]
