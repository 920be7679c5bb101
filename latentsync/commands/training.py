"""What the commands that train have in common: flags, the progress line, the dry run's table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync import __version__
from latentsync.commands.console import Parser, run
from latentsync.commands.stopping import Stop, exit_code
from latentsync.errors import ConfigError
from latentsync.places import command
from latentsync.weights.licences import accept

if TYPE_CHECKING:
    import argparse

    from latentsync.training.loop.dry_run import Cost
    from latentsync.training.loop.meter import Report
    from latentsync.training.run import Run

GB = 1e9
Setup = Callable[["Request"], "Run"]
"""Checks everything and builds it: networks, data, loop."""


class Request:
    """What was asked for. output None: that of the settings. stop: see Stop."""

    def __init__(self, options: argparse.Namespace, stop: Stop) -> None:
        self.config, self.overrides = options.config, list(options.overrides)
        self.output = None if options.output is None else Path(options.output)
        self.resume, self.dry_run, self.stop = options.resume, options.dry_run, stop


def build_parser(name: str, what: str, alias: str) -> Parser:
    """name: of the command. alias: LatentSync's own name of --config."""
    parser = Parser(
        prog=command(name),
        description=f"Train {what}, on one GPU, several, or a CPU. Several: accelerate launch "
        f"-m scripts.{name} ... A training that was stopped goes on with the same command.",
        epilog="Settings can follow as key=value. docs/training.md explains the stages.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add("--config", alias, required=True, metavar="YAML", help="settings; LatentSync's own work")
    add("--output", metavar="FOLDER", help="for checkpoints and logs; data.train_output_dir")
    add(
        "--resume",
        default="auto",
        metavar="HOW",
        help="auto (default): go on if the output holds checkpoints of these settings; never; or "
        "the folder of a checkpoint",
    )
    add(
        "--dry_run",
        action="store_true",
        help="only three steps: memory, time and disk that it would take; writes nothing there",
    )
    add(
        "--accept_licence",
        action="append",
        default=[],
        metavar="NAME",
        help="accept the non-commercial licence of weights, once",
    )
    add("--quiet", action="store_true", help="print warnings, errors and the last line only")
    return parser


def train(parser: Parser, arguments: Sequence[str] | None, setup: Setup) -> int:
    """The command. arguments: without the program's name; None: those of the process."""
    options = parser.read(sys.argv[1:] if arguments is None else arguments)
    first = is_first()
    return run(lambda: _train(options, setup, first), quiet=options.quiet or not first)


def is_first() -> bool:
    """Of several processes that a launcher started; one alone is."""
    return os.environ.get("RANK", "0") == "0"


def _train(options: argparse.Namespace, setup: Setup, first: bool) -> int:
    accept(options.accept_licence)
    _check_packages()
    stop = Stop(speaks=first)
    made = setup(Request(options, stop))  # imports torch, which takes seconds
    if options.dry_run:
        cost = made.dry_run()
        if first:
            print(cost_table(cost))
        return 0
    shown = Progress(made.last_step, quiet=options.quiet or not first)
    stop.listen()
    with shown:
        outcome = made.fit(stop, shown)
    if first:
        ended = "stopped" if outcome.stopped_by else "trained"
        print(f"{ended} at step {outcome.step}: {outcome.checkpoint}")
        if outcome.stopped_by:
            print("the same command goes on from here", file=sys.stderr)
        else:
            print(f"for the inference: {made.use_of(outcome)}")
    return exit_code(outcome.stopped_by)


def _check_packages() -> None:
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        remedy = "install it: pip install '.[training]'"
        raise ConfigError("training needs accelerate", "not installed", remedy) from error


class Progress:
    """A bar on a terminal; elsewhere a line for each report. Call it with each report."""

    def __init__(self, last: int, *, quiet: bool) -> None:
        self._last, self._quiet = last, quiet
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            layout = "{desc} |{bar}| {postfix}"
            self._bar = tqdm(total=self._last, bar_format=layout, dynamic_ncols=True)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, report: Report) -> None:
        if self._quiet:
            return
        if self._bar is None:
            print(f"step {report.step}/{self._last}: {shown(report)}", file=sys.stderr, flush=True)
            return
        self._bar.set_description_str(f"step {report.step}/{self._last}")
        self._bar.set_postfix_str(shown(report))
        self._bar.n = report.step
        self._bar.refresh()


def shown(report: Report) -> str:
    """Of a report, what fits into a line."""
    losses = ", ".join(f"{name} {value:.4g}" for name, value in report.losses.items())
    figures = "".join(f", {name} {value:.3g}" for name, value in report.figures.items())
    speed = f"{report.samples_per_second:.2g} clips/s"
    left = duration(report.seconds_left)
    return f"{losses}{figures}, {speed}, {report.memory_bytes / GB:.1f} GB, {left} left"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{rest:02d} min"


def cost_table(cost: Cost) -> str:
    """What a training would take, in lines."""
    processes = f"{cost.processes} processes" if cost.processes > 1 else "1 process"
    losses = ", ".join(f"{name} {value:.4g}" for name, value in cost.losses.items())
    where = "of a GPU" if cost.device.startswith("cuda") else "of a process"
    rows = [
        f"{cost.device}, {cost.precision}, {processes}, {cost.of_step} clips in a step",
        f"{cost.trained / 1e6:.1f} of {cost.parameters / 1e6:.1f} million parameters train",
        f"{cost.clips} clips",
        f"losses: {losses}",
        f"memory {where}: {cost.memory_bytes / GB:.1f} GB",
        f"{cost.seconds_per_step:.2f} s for a step, {duration(cost.seconds)} for {cost.left} steps",
        f"a checkpoint: {cost.disk_bytes / GB:.2f} GB; {cost.free_bytes / GB:.0f} GB are free",
        "dry run: nothing was written",
    ]
    return "\n".join(rows)
