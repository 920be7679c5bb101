"""See, cancel, retry and clean up jobs of scripts.batch.

python -m scripts.jobs list
python -m scripts.jobs show 3
python -m scripts.jobs cancel 3
python -m scripts.jobs retry 3
python -m scripts.jobs clean
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentsync import __version__
from latentsync.commands.console import DONE, Parser, agrees, run
from latentsync.commands.run_jobs import summary
from latentsync.errors import ConfigError
from latentsync.jobs import rows
from latentsync.jobs.rows import JobRow
from latentsync.places import command


def build_parser() -> Parser:
    parser = Parser(
        prog=command("jobs"),
        description=f"See, cancel, retry and clean up jobs of {command('batch')}.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add(
        "action",
        choices=("list", "show", "cancel", "retry", "clean"),
        help="list: all jobs; show: "
        "one, with its attempts; cancel; retry: one that failed or was cancelled, with the next "
        "batch; clean: remove what is kept of jobs that have ended, after asking",
    )
    add("job", nargs="?", help="its number, or its id")
    add(
        "--state_dir",
        metavar="DIR",
        help="folder of the job store; default: the user's state folder, jobs/",
    )
    add("--yes", action="store_true", help="clean without asking")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    options = build_parser().read(sys.argv[1:] if arguments is None else arguments)
    return run(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.overrides:
        raise ConfigError("not understood", " ".join(options.overrides), "see --help")
    from latentsync.jobs.places import JobFiles, default_root, open_store

    files = JobFiles(Path(options.state_dir) if options.state_dir else default_root())
    if not files.store.exists():
        print(f"no jobs in {files.root}")
        return DONE
    store = open_store(files)
    if options.action == "list":
        jobs = store.jobs()
        print(summary(jobs) if jobs else "no jobs")
        return DONE
    if options.action == "clean":
        return _clean(store, files, options)
    job = _named(store, options.job)
    if options.action == "show":
        print(_shown(store, files, job))
    elif options.action == "cancel":
        done = store.cancel(job.id)
        state = store.job(job.id).state
        words = "cancelled" if state == rows.CANCELLED else "done, but not judged"
        _change(done, job, words, "it has ended already")
        files.set_state(job.id, state)
    else:
        _change(
            store.retry(job.id),
            job,
            f"waits for the next {command('batch')}",
            "only jobs that failed or were cancelled can be tried again",
        )
        files.set_state(job.id, rows.WAITING)
    return DONE


def _named(store: Any, key: str | None) -> JobRow:
    if key is None:
        raise ConfigError("the job", "not given", f"name its number: {command('jobs')} list")
    try:
        found: JobRow = store.job(key)
    except KeyError:
        raise ConfigError("no such job", key, f"see {command('jobs')} list") from None
    return found


def _change(done: bool, job: JobRow, words: str, remedy: str) -> None:
    if not done:
        raise ConfigError(f"job {job.number} is {job.state}", job.name, remedy)
    print(f"job {job.number}, {job.name}: {words}")


def _shown(store: Any, files: Any, job: JobRow) -> str:
    given = job.config["input"]
    lines = [
        f"job {job.number}, {job.name}: {job.state}",
        f"  id       {job.id}",
        f"  video    {given['video']}",
        f"  speech   {given['audio'] or '-'}",
        f"  output   {job.output}",
        f"  added    {_time(job.created)}, priority {job.priority}",
        f"  frames   {job.done} of {job.frames or '?'}",
        f"  log      {files.folder(job.id) / 'log.txt'}",
    ]
    if job.stage:
        lines.insert(
            1, f"  now      {job.stage}: {job.stage_done} of {job.stage_total or '?'} frames"
        )
    for word, reason in (("error", job.error), ("note", job.note)):
        if reason:
            lines.insert(1, f"  {word:<8} {reason}")
    for one in store.attempts(job.id):
        end = one["outcome"] or "running"
        took = "" if one["ended"] is None else f", {one['ended'] - one['begun']:.1f} s"
        reason = f": {one['error']}" if one["error"] else ""
        where = f"{one['kind']} {one['number']}" if one["kind"] == rows.SEGMENT else one["kind"]
        lines.append(f"  {_time(one['begun'])}  {where}: {end}{took}{reason}")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _clean(store: Any, files: Any, options: argparse.Namespace) -> int:
    """Removes ended jobs from the store, with their logs and half-finished segments; no output."""
    from latentsync.pipeline.segments.folder import SegmentFolder, folder_of

    ended = [job for job in store.jobs() if job.state not in rows.OPEN]
    if not ended:
        print("nothing to clean: no job has ended")
        return DONE
    in_use = {job.output for job in store.jobs(rows.OPEN)}
    folders = {
        job.id: folder
        for job in ended
        if (folder := folder_of(Path(job.output))).is_dir() and job.output not in in_use
    }
    for job in ended:
        more = f", and the segments in {folders[job.id]}" if job.id in folders else ""
        print(
            f"job {job.number}, {job.name} ({job.state}): its log and its place in the list{more}"
        )
    if not (options.yes or agrees("Remove these?")):
        print("nothing was removed")
        return DONE
    for job in ended:
        if job.id in folders:
            segments = SegmentFolder(folders[job.id], {})
            with segments.held():  # refused while scripts.inference --resume uses it
                segments.remove()
        files.remove(job.id)
        store.forget(job.id)
    print(f"{len(ended)} jobs removed; no output was touched")
    return DONE
