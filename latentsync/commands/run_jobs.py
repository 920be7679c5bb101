"""Run a list of jobs: many videos, in segments, by one or several workers; it can be stopped.

python -m scripts.batch jobs.yaml
python -m scripts.batch jobs.csv --workers 2 --superres GFPGAN
python -m scripts.batch --input_dir videos/ --output_dir dubbed/
python -m scripts.batch jobs.yaml --cluster auto

The same command goes on where it was stopped, whatever stopped it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync import __version__
from latentsync.commands.console import (
    DONE,
    INTERRUPTED,
    USER_ERROR,
    Parser,
    add_weights_flags,
    print_error,
    run,
)
from latentsync.commands.folder import with_contents
from latentsync.errors import ConfigError
from latentsync.jobs import rows
from latentsync.jobs.job_table import TakenError
from latentsync.jobs.rows import JobRow
from latentsync.places import command
from latentsync.settings.presets import PRESETS
from latentsync.settings.seeds import NEW, new_seed, with_seed
from latentsync.weights.licences import accept

if TYPE_CHECKING:
    from latentsync.jobs.manifest import Planned

MOST_WORKERS = 64


def build_parser() -> Parser:
    parser = Parser(
        prog=command("batch"),
        description="Lip-sync or restore many videos. Each is rendered in segments of 20 s, which "
        "are kept until it is complete: the same command goes on where it was stopped.",
        epilog="Settings can follow as key=value; they are above those of the list. "
        f"To see, cancel or retry jobs: {command('jobs')}",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add(
        "manifest",
        nargs="?",
        metavar="LIST",
        help="YAML (jobs: a list of {video, audio, output, priority, speaker, settings}; or "
        "MuseTalk's tasks) or CSV (a column for each of these, and for any setting)",
    )
    add(
        "--input_dir",
        metavar="DIR",
        help="in place of a list: the videos of a folder, each with "
        "the speech of the same name beside it, if there is one",
    )
    add("--output_dir", metavar="DIR", help="folder for outputs that the list does not name")
    add("--config", metavar="YAML", help="file with settings; see configs/")
    add("--preset", metavar="NAME", help=f"quality against time: {', '.join(PRESETS)}")
    add(
        "--superres",
        metavar="NAME",
        help="restorer: Detail (default), Self, GFPGAN, CodeFormer, none, package.module:load",
    )
    add(
        "--generator",
        metavar="NAME",
        help="generator: latentsync (default), musetalk, replay, package.module:load",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes, default 1; on one GPU, or few cores, more are rarely faster; with "
        "--cluster on each machine, default one for each GPU or 8 cores",
    )
    add(
        "--cluster",
        metavar="WHERE",
        help="work with all machines of a Ray cluster: its address; auto: the one that this "
        "command runs in, else one is started here",
    )
    add("--resume", action="store_true", default=True, help="go on with earlier work (default)")
    add("--overwrite", action="store_true", default=None, help="replace existing outputs")
    add("--device", metavar="NAME", help="auto (default: the fastest), cpu, cuda or mps")
    add(
        "--state_dir",
        metavar="DIR",
        help="folder of the job store; default: the user's state folder, jobs/",
    )
    add_weights_flags(parser)
    add("--yes", action="store_true", help="download missing weights without asking")
    add("--quiet", action="store_true", help="print errors and the summary only")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    options = build_parser().read(sys.argv[1:] if arguments is None else arguments)
    if "=" in (options.manifest or "") and not Path(options.manifest).exists():
        # A setting has taken the place of the list.
        options.overrides, options.manifest = [options.manifest, *options.overrides], None
    return run(lambda: _run(options), quiet=options.quiet)


def _run(options: argparse.Namespace) -> int:
    accept(options.accept_licence)
    _check(options)
    from latentsync.commands.resume import remove_leftover  # imports torch
    from latentsync.jobs.manifest import ManifestError
    from latentsync.jobs.places import JobFiles, default_root, open_store

    files = JobFiles(Path(options.state_dir) if options.state_dir else default_root())
    store = open_store(files)
    earlier = {job.output: job for job in store.jobs()}  # the latest of each output
    try:
        planned = _planned(options, earlier)
    except ManifestError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        count = len(error.problems)
        print(f"error: {error.name}: {count} problems; nothing was done", file=sys.stderr)
        return USER_ERROR
    if options.cluster is not None:
        _check_precision(planned)
    _fetch_weights(options, planned)
    ids, before, seed = [], 0, new_seed()
    for one in planned:
        if _is_done(earlier.get(str(one.output)), one):
            remove_leftover(one.output)
            before += 1
            continue
        job = _job_for(one, earlier.get(str(one.output)), store, seed)
        files.write(store.job(job.id))
        ids.append(job.id)
    if before:
        print(f"{before} of {len(planned)} jobs were done before")
    return _worked(options, files, ids) if ids else DONE


def _job_for(one: Planned, job: JobRow | None, store: Any, seed: int) -> JobRow:
    """The job of an entry in the store: one that is not finished, or a new one.

    job: the last one with its output. seed: for settings that ask for a new one.
    """
    if job is not None and job.state in rows.OPEN:
        if _is_same(job, one):
            return job
        remedy = f"wait for it, or cancel it: {command('jobs')} cancel {job.number}"
        what = "an unfinished job with other settings has this output"
        raise ConfigError(what, one.output, remedy)
    if job is not None and _is_same(job, one) and job.state != rows.DONE:
        store.retry(job.id)
        return job
    new, config = uuid.uuid4().hex[:12], dataclasses.asdict(with_seed(one.config, seed))
    try:
        added: JobRow = store.add(new, one.name, str(one.output), config, one.priority)
    except TakenError:  # by the same command, a moment ago
        theirs = [job for job in store.jobs() if job.output == str(one.output)]
        return _job_for(one, theirs[-1], store, seed)
    return added


def _check(options: argparse.Namespace) -> None:
    if (options.manifest is None) == (options.input_dir is None):
        value = "neither" if options.manifest is None else "both"
        raise ConfigError("a list of jobs or --input_dir", value, "give one of them")
    if options.input_dir is not None and options.output_dir is None:
        raise ConfigError("--output_dir", "not given", "name a folder for the outputs")
    if options.workers is not None and not 1 <= options.workers <= MOST_WORKERS:
        raise ConfigError("--workers", options.workers, f"use 1 to {MOST_WORKERS}")


def _planned(options: argparse.Namespace, earlier: dict[str, JobRow]) -> list[Planned]:
    # They read settings and videos, and take a moment to import.
    from latentsync.jobs.entries import folder_entries, read_entries
    from latentsync.jobs.manifest import planned_jobs

    folder = None if options.output_dir is None else Path(options.output_dir)
    if options.input_dir is not None:
        assert folder is not None
        source = Path(options.input_dir)
        videos = [Path(one) for one in with_contents([str(source)])]
        name, entries = str(source), folder_entries(source, videos, folder)
    else:
        name, entries = options.manifest, read_entries(Path(options.manifest), folder)

    def known(one: Planned) -> bool:
        job = earlier.get(str(one.output))
        unfinished = job is not None and job.state != rows.DONE and _is_same(job, one)
        return unfinished or _is_done(job, one)

    return planned_jobs(
        name,
        entries,
        config=options.config,
        overrides=options.overrides,
        flags={
            "preset": options.preset,
            "restore.name": options.superres,
            "generate.name": options.generator,
            "output.overwrite": options.overwrite,
            "weights.offline": options.offline,
            "runtime.device": options.device,
        },
        known=known,
    )


def _is_done(job: JobRow | None, one: Planned) -> bool:
    """Whether the output of an entry is there, made from the files that are there now."""
    if job is None or job.state != rows.DONE or not _is_same(job, one) or not one.output.exists():
        return False
    return all(path.stat().st_mtime <= job.created for path in one.inputs if path.exists())


def _is_same(job: JobRow, one: Planned) -> bool:
    """Whether a job of the store is that of an entry: all settings are equal."""
    any_seed = one.config.generate.seed == NEW
    return _compared(job.config, any_seed) == _compared(dataclasses.asdict(one.config), any_seed)


def _compared(config: Mapping[str, Any], any_seed: bool) -> dict[str, Any]:
    output, generate = {**config["output"]}, {**config["generate"]}
    output["overwrite"] = None
    if any_seed:
        generate["seed"] = NEW
    return {**config, "output": output, "generate": generate}


def _check_precision(planned: Sequence[Planned]) -> None:
    """Raises ConfigError: graphs in int8 are made on each machine, so their results differ."""
    if any(one.config.runtime.precision == "int8" for one in planned):
        remedy = "not with --cluster, as its graphs differ from machine to machine; use --workers"
        raise ConfigError("runtime.precision", "int8", remedy)


def _fetch_weights(options: argparse.Namespace, planned: Sequence[Planned]) -> None:
    """Of all jobs, before any work. Raises CheckpointError and ConfigError."""
    from latentsync.commands.consent import Consent
    from latentsync.commands.progress import byte_bar
    from latentsync.pipeline.job import fetch_for
    from latentsync.weights.ensure import no_byte_progress

    options.checkpoint = None
    for config in [one.config for one in planned]:
        progress = no_byte_progress if options.quiet else byte_bar
        fetch_for(config, speech=config.speech, fetching=progress, consent=Consent(options, config))


def _worked(options: argparse.Namespace, files: Any, ids: Sequence[str]) -> int:
    from latentsync.commands.workers import work_on
    from latentsync.jobs.store import Store

    interrupted = not work_on(
        files, ids, options.workers, cluster=options.cluster, quiet=options.quiet
    )
    with closing(Store(files.store)) as store:
        jobs = store.some(ids)
    print(summary(jobs))
    if interrupted:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    for job in jobs:
        if job.state != rows.DONE:
            print_error(ConfigError(job.name, job.state, job.error or "see its log"))
    return DONE if all(job.state == rows.DONE for job in jobs) else USER_ERROR


def summary(jobs: Sequence[JobRow]) -> str:
    """A table, one line a job."""
    width = max((len(job.name) for job in jobs), default=0)
    lines = [f"{'job':>4} {'state':9} {'frames':>7} {'seconds':>8}  {'name':{width}}  output"]
    for job in jobs:
        seconds = (
            ""
            if job.started is None or job.finished is None
            else (f"{job.finished - job.started:.1f}")
        )
        frames = str(job.done or "")
        end = job.output if job.state == rows.DONE else (job.error or "")
        lines.append(
            f"{job.number:>4} {job.state:9} {frames:>7} {seconds:>8}  {job.name:{width}}  {end}"
        )
    return "\n".join(lines)
