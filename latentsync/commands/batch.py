"""Several videos in one command: imports, weights and models are loaded once.

All names are checked before any work; afterwards a video that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync.commands.console import DONE, INTERRUPTED, SETTINGS, USER_ERROR, print_error
from latentsync.errors import ConfigError, LatentSyncError
from latentsync.media.files import check_names, check_there
from latentsync.settings.schema import Config

if TYPE_CHECKING:
    from latentsync.pipeline.job import Job
    from latentsync.pipeline.progress import Progress

SETTING = re.compile(r"[A-Za-z_][\w.-]*\s*=")
exists = os.path.exists  # Path's own raises for a name that is too long


class Inputs(argparse.Action):
    """Stores the values of --input; settings that follow them go to SETTINGS.

    The first value is always a video, and so is the name of an existing file.
    """

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _option: str | None = None,
    ) -> None:
        first, *others = values
        settings = [one for one in others if SETTING.match(one) and not exists(one)]
        videos = [first, *(one for one in others if one not in settings)]
        for name, more in ((self.dest, videos), (SETTINGS, settings)):
            setattr(namespace, name, [*getattr(namespace, name, []), *more])


def is_batch(inputs: Sequence[str], output: str | None) -> bool:
    """Whether the output is a folder for results named after their videos."""
    return len(inputs) > 1 or (bool(inputs) and output is not None and _ends_as_folder(output))


def run_batch(options: argparse.Namespace, config: Config) -> int:
    """Exit code: 2 if any video failed. Raises LatentSyncError before any work."""
    configs = _configs(config, options.input, skip_existing=options.skip_existing)
    # What follows imports torch, which takes seconds.
    from latentsync.commands.work import prepare_work, progress_of

    videos = [Path(str(one.input.video)).name for one in configs]
    names = [f"{n}/{len(configs)} {video}" for n, video in enumerate(videos, 1)]
    jobs = _checked(dict(zip(names, configs, strict=True)))
    skipped = len(options.input) - len(configs)
    done, result = 0, f"of {len(configs)} videos done" + (f", {skipped} skipped" if skipped else "")
    try:
        work = prepare_work(options, next(iter(jobs.values()))) if jobs else None
        for name, job in jobs.items():
            if options.dry_run:
                print(name)
            progress = _titled(progress_of(options), name)
            done += work is not None and _succeeds(name, partial(work, job, progress))
    except KeyboardInterrupt:
        print(f"interrupted; {done} {result}", file=sys.stderr)
        return INTERRUPTED
    print(f"{done} {result}")
    return DONE if done == len(configs) else USER_ERROR


def _configs(config: Config, videos: Sequence[str], *, skip_existing: bool) -> list[Config]:
    """The settings of each video. Raises ConfigError and MediaError for invalid names.

    skip_existing: leaves out videos whose output exists.
    """
    folder, paths = _folder(config.output.path), [Path(video) for video in videos]
    for path in paths:
        check_there(path)
    from latentsync.media.container import MUXERS  # takes a moment

    targets = [
        folder / (path.name if path.suffix.lower() in MUXERS else f"{path.stem}.mp4")
        for path in paths
    ]
    _check_apart(videos, targets, compare=config.output.compare)
    left = [
        (video, target)
        for video, target in zip(videos, targets, strict=True)
        if not (skip_existing and target.exists())
    ]
    for video, target in left:
        check_names(Path(video), target, overwrite=config.output.overwrite)
    return [
        replace(
            config,
            input=replace(config.input, video=video),
            output=replace(config.output, path=str(target)),
        )
        for video, target in left
    ]


def _check_apart(videos: Sequence[str], targets: Sequence[Path], *, compare: bool) -> None:
    """Raises ConfigError if two videos would write the same file.

    Suffix and case are ignored: report names drop the suffix, and some disks ignore case.
    """
    taken: dict[str, int] = {}
    for n, target in enumerate(targets):
        for stem in (target.stem, f"{target.stem}_compare")[: 1 + compare]:
            first = taken.setdefault(stem.casefold(), n)
            if first != n:
                what = "two videos would get the same output name"
                both = f"{videos[first]} and {videos[n]}"
                raise ConfigError(what, both, "rename one, or give it in a command of its own")


def _checked(configs: Mapping[str, Config]) -> dict[str, Job]:
    """By name, the jobs of the videos that can be opened; errors of others are printed.

    Raises LatentSyncError if settings or an output are invalid.
    """
    from latentsync.media.probe import probe
    from latentsync.pipeline.job import checked

    jobs = {}
    for name, config in configs.items():
        if _succeeds(name, partial(probe, str(config.input.video))):
            jobs[name] = checked(config)
    return jobs


def _succeeds(name: str, work: Callable[[], object]) -> bool:
    try:
        work()
    except LatentSyncError as error:
        print_error(error, of=name)
        return False
    return True


def _titled(progress: Progress, name: str) -> Progress:
    return lambda title, total: progress(f"{name}: {title}", total)


def _folder(path: str | None) -> Path:
    if path is None:
        raise ConfigError("output.path", "not given", "pass --output FOLDER/")
    if not _ends_as_folder(path) and not Path(path).is_dir():
        remedy = "name an existing folder, or end the name in /"
        raise ConfigError("several videos need a folder for their output", path, remedy)
    return Path(path)


def _ends_as_folder(path: str) -> bool:
    return path.endswith(("/", os.sep))
