"""Several videos and pictures in one command: imports, weights and models are loaded once.

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
from latentsync.commands.folder import is_folder, with_contents
from latentsync.commands.to_evaluate import check_evaluations, index_of
from latentsync.errors import ConfigError, LatentSyncError
from latentsync.media.files import check_names, check_there
from latentsync.media.picture.kinds import KINDS, compared, is_picture, name_beside
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
    if len(inputs) > 1 or any(is_folder(path) for path in inputs):
        return True
    return bool(inputs) and output is not None and _ends_as_folder(output)


def run_batch(options: argparse.Namespace, config: Config) -> int:
    """Exit code: 2 if any video failed. Raises LatentSyncError before any work."""
    files = with_contents(options.input)
    configs = _configs(config, files, skip_existing=options.skip_existing, resume=options.resume)
    outputs = [Path(str(one.output.path)) for one in configs]
    check_evaluations(outputs, config, html=options.html)
    # What follows imports torch, which takes seconds.
    from latentsync.commands.judging import Evaluations
    from latentsync.commands.work import prepare_work, progress_of

    videos = [Path(str(one.input.video)).name for one in configs]
    names = [f"{n}/{len(configs)} {video}" for n, video in enumerate(videos, 1)]
    jobs = _checked(dict(zip(names, configs, strict=True)))
    skipped = len(files) - len(configs)
    result = f"of {len(configs)} {_what(files)} done" + (f", {skipped} skipped" if skipped else "")
    done, evaluations = 0, Evaluations()
    try:
        first = next(iter(jobs.values()), None)
        work = None if first is None else prepare_work(options, first, evaluations)
        for name, job in jobs.items():
            if options.dry_run:
                print(name)
            progress = _titled(progress_of(options), name)
            video = job.output.target.name
            failed = partial(evaluations.failed, video)
            done += work is not None and _succeeds(name, partial(work, job, progress), failed)
    except KeyboardInterrupt:
        print(f"interrupted; {done} {result}", file=sys.stderr)
        return INTERRUPTED
    if evaluations.done and options.html:
        evaluations.write_index(index_of(outputs))
    print(f"{done} {result}")
    return DONE if done == len(configs) else USER_ERROR


def _configs(
    config: Config, videos: Sequence[str], *, skip_existing: bool, resume: bool
) -> list[Config]:
    """The settings of each video. Raises ConfigError and MediaError for invalid names.

    skip_existing: leaves out videos whose output exists. resume: goes on with earlier work.
    """
    folder, paths = _folder(config.output.path), [Path(video) for video in videos]
    for path in paths:
        check_there(path)
    from latentsync.media.container import MUXERS  # takes a moment

    kept = {*MUXERS} if config.speech else {*MUXERS, *KINDS}
    targets = [
        folder / (path.name if path.suffix.lower() in kept else f"{path.stem}.mp4")
        for path in paths
    ]
    _check_apart(videos, targets, compare=config.output.compare)
    left = [
        (video, target)
        for video, target in zip(videos, targets, strict=True)
        if not (skip_existing and _is_done(target, resume=resume))
    ]
    made = [
        replace(
            config,
            input=replace(config.input, video=video),
            output=replace(config.output, path=str(target)),
        )
        for video, target in left
    ]
    if resume:
        from latentsync.commands.resume import resumed

        made = resumed(made)
    for one in made:
        video, target = Path(str(one.input.video)), Path(str(one.output.path))
        check_names(video, target, overwrite=one.output.overwrite)
    return made


def _check_apart(videos: Sequence[str], targets: Sequence[Path], *, compare: bool) -> None:
    """Raises ConfigError if two videos would write the same file.

    Case is ignored, as some disks do so, and the suffix is where report names drop it.
    """
    taken: dict[str, int] = {}
    for n, target in enumerate(targets):
        for path in (target, compared(target))[: 1 + compare]:
            first = taken.setdefault(name_beside(path).casefold(), n)
            if first != n:
                what = "two videos would get the same output name"
                both = f"{videos[first]} and {videos[n]}"
                raise ConfigError(what, both, "rename one, or give it in a command of its own")


def _checked(configs: Mapping[str, Config]) -> dict[str, Job]:
    """By name, the jobs of the videos that can be opened; errors of others are printed.

    Raises LatentSyncError if settings or an output are invalid.
    """
    from latentsync.pipeline.job import checked

    jobs = {}
    for name, config in configs.items():
        if _succeeds(name, partial(_probed, config)):
            jobs[name] = checked(config)
    return jobs


def _probed(config: Config) -> None:
    from latentsync.media.picture.still import check_video_name
    from latentsync.media.probe import probe

    if probe(str(config.input.video)).picture is None:
        check_video_name(Path(str(config.output.path)))


def _what(files: Sequence[str]) -> str:
    """What these files are called."""
    pictures = sum(is_picture(Path(file)) for file in files)
    return {0: "videos", len(files): "pictures"}.get(pictures, "videos and pictures")


def _succeeds(
    name: str,
    work: Callable[[], object],
    failed: Callable[[LatentSyncError], None] = lambda _error: None,
) -> bool:
    """failed: called with the error, which is printed."""
    try:
        work()
    except LatentSyncError as error:
        print_error(error, of=name)
        failed(error)
        return False
    return True


def _titled(progress: Progress, name: str) -> Progress:
    return lambda title, total: progress(f"{name}: {title}", total)


def _is_done(target: Path, *, resume: bool) -> bool:
    """resume: not where an earlier run made all of it but the report."""
    if not (resume and target.exists()):
        return target.exists()
    from latentsync.commands.resume import is_unfinished, remove_leftover

    remove_leftover(target)
    return not is_unfinished(target)


def _folder(path: str | None) -> Path:
    if path is None:
        raise ConfigError("output.path", "not given", "pass --output FOLDER/")
    if not _ends_as_folder(path) and not Path(path).is_dir():
        remedy = "name an existing folder, or end the name in /"
        raise ConfigError("several videos need a folder for their output", path, remedy)
    return Path(path)


def _ends_as_folder(path: str) -> bool:
    return path.endswith(("/", os.sep))
