"""Say how good a result is, in figures: sync, sharpness, seams, and where the worst moments are.

python -m scripts.evaluate result.mp4 --source original.mp4 --html
python -m scripts.evaluate one.mp4 other.mp4 --source original.mp4
python -m scripts.evaluate folder/ --csv figures.csv
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentsync import __version__
from latentsync.commands.batch import SETTING, exists
from latentsync.commands.console import Parser, add_weights_flags, run
from latentsync.commands.to_evaluate import request_of
from latentsync.errors import ConfigError
from latentsync.places import command
from latentsync.weights.licences import accept

if TYPE_CHECKING:
    from latentsync.settings.schema import Config


def build_parser() -> Parser:
    parser = Parser(
        prog=command("evaluate"),
        description="Say how good a lip-synced or restored video is, in figures, and where its "
        "worst moments are. Writes RESULT.evaluation.json beside it. Two videos are compared.",
        epilog="Settings can follow as key=value. docs/evaluation.md explains every figure.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add("results", nargs="*", metavar="RESULT", help="video; two are compared; several, a folder")
    for flag in ("--video_path", "--videos_dir"):
        add(flag, action="append", default=[], metavar="PATH", help="another way to name it")
    add(
        "--source",
        metavar="VIDEO",
        help="what the result was made from; a folder: the video of the same name in it; default: "
        "what the job's report beside the result says",
    )
    add("--audio", metavar="SPEECH", help="what the lips are to follow; default: its own audio")
    add("--speaker", metavar="WHO", help="whose mouth, as of the inference command")
    add("--html", action="store_true", help="also write a page with pictures")
    add("--json", metavar="FILE", help="where the figures of one result go")
    add("--csv", metavar="FILE", help="also a table, a row for each video")
    add(
        "--syncnet_accuracy",
        metavar="LIST",
        help="only how often StableSyncNet is right, on the videos that a text file lists",
    )
    add_weights_flags(parser)
    add("--device", metavar="NAME", help="auto (default: the fastest), cpu, cuda or mps")
    add("--quiet", action="store_true", help="no progress; only the summary, warnings and errors")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    given = sys.argv[1:] if arguments is None else arguments
    options = build_parser().read(given)
    options.line = shlex.join([*command("evaluate").split(), *given])
    return run(lambda: _run(options), quiet=options.quiet)


def _run(options: argparse.Namespace) -> int:
    from latentsync.settings.load import load_config  # slow to import, not needed for wrong flags

    accept(options.accept_licence)
    names, settings = _apart([*options.results, *options.overrides])
    names += [*options.video_path, *options.videos_dir]
    flags = {
        "face.speaker": options.speaker,
        "runtime.device": options.device,
        "weights.offline": options.offline,
    }
    config = load_config(None, settings, flags=flags)
    if options.syncnet_accuracy is not None:
        return _accuracy(options, names, config)
    request = request_of(options, names)
    # What follows imports torch, which takes seconds.
    from latentsync.commands.judging import evaluate

    return evaluate(request, config, quiet=options.quiet, command=options.line)


def _accuracy(options: argparse.Namespace, names: Sequence[str], config: Config) -> int:
    if names:
        raise ConfigError(
            "--syncnet_accuracy takes its videos from a list", names[0], "leave it out"
        )
    from latentsync.commands.sync_accuracy import print_accuracy

    return print_accuracy(Path(options.syncnet_accuracy), config, quiet=options.quiet)


def _apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of files, and settings such as face.speaker=left."""
    settings = [one for one in words if SETTING.match(one) and not exists(one)]
    return [one for one in words if one not in settings], settings
