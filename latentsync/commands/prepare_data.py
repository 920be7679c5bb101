"""Make training data of videos: aligned clips of 5 to 10 s, and a table of why not the rest.

python -m scripts.prepare_data raw/ data/ --workers 4
python -m scripts.prepare_data raw/ data/ --cluster auto
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync import __version__
from latentsync.commands.console import Parser, add_weights_flags, run
from latentsync.errors import ConfigError
from latentsync.places import command
from latentsync.training.preparation.manifest import SKIPPABLE, STEPS
from latentsync.training.preparation.settings import PreparationSettings

if TYPE_CHECKING:
    from latentsync.training.preparation.run import Options

DEFAULTS = PreparationSettings()
MEGABYTE = 1_000_000


def build_parser() -> Parser:
    parser = Parser(
        prog=command("prepare_data"),
        description="Make training data of the videos in a folder: aligned clips of 5 to 10 s at "
        "25 frames a second, lists and shards of them, and a table of every step's verdict. The "
        "videos are only read. Run it again after an interruption: what is finished stays.",
        epilog=f"Steps: {', '.join(STEPS)}. Settings of faces and of the machine can follow as "
        "key=value. docs/training_data.md explains all.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add("input", metavar="RAW", help="folder of videos, with those below it; or one video")
    add("output", metavar="DATA", help="folder for the training data; new, or of an earlier run")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes, with --cluster on each machine; default: one for each two cores",
    )
    add(
        "--cluster",
        metavar="WHERE",
        help="work with all machines of a Ray cluster, which have to see RAW and DATA under the "
        "same paths: its address; auto: the one that this command runs in, else one is started "
        "here",
    )
    _add_thresholds(parser)
    _add_outputs(parser)
    add_weights_flags(parser)
    add("--device", metavar="NAME", help="auto (default: the fastest), cpu, cuda or mps")
    add("--quiet", action="store_true", help="no progress; only the summary, warnings and errors")
    return parser


def _add_thresholds(parser: Parser) -> None:
    def add(name: str, what: str) -> None:
        value = getattr(DEFAULTS, name)
        kind = type(value)
        parser.add_argument(
            f"--{name}", type=kind, default=value, metavar="N", help=f"{what}; default: {value:g}"
        )

    add("resolution", "of the clips, 256 or 512 pixels")
    add("min_fps", "frames a second that a video has to have")
    add("min_seconds", "of a clip")
    add("max_seconds", "of a clip")
    add("min_face", "width of the face in the video in pixels; 0: half the resolution")
    add("min_speech", "share of a clip with speech of its person")
    add("min_confidence", "of SyncNet, that lips and audio belong together")
    add("max_offset", "frames that lips and audio may be apart; the audio is moved by them")
    add("min_quality", "of the face by HyperIQA, 0 to 100")
    add("max_blur", "without HyperIQA's weights: width of the edges at the eyes in pixels")
    add("crf", "of H.264, 0 (lossless) to 51")
    parser.add_argument(
        "--skip",
        nargs="+",
        action="extend",
        default=[],
        metavar="STEP",
        help=f"steps that drop nothing: {', '.join(SKIPPABLE)}",
    )
    parser.add_argument(
        "--keep_damaged", action="store_true", help="use what can be read of damaged files"
    )
    parser.add_argument(
        "--need_syncnet", action="store_true", help="do nothing where SyncNet's weights are missing"
    )


def _add_outputs(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--speakers",
        choices=("looks", "folder", "file"),
        default="looks",
        help="who is one speaker, and so not both in train and validation: by the face (default), "
        "by the folder below RAW, or one a file",
    )
    add(
        "--validation",
        type=float,
        default=5.0,
        metavar="PERCENT",
        help="of the time, for validation, about; default: 5",
    )
    add("--shards", default="500", metavar="MB", help="size of a shard; off: none; default: 500")
    add("--ignore_disk", action="store_true", help="start even where the disk may become full")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    options = build_parser().read(sys.argv[1:] if arguments is None else arguments)
    return run(lambda: _run(options), quiet=options.quiet)


def _run(options: argparse.Namespace) -> int:
    from latentsync.settings.load import load_config  # slow to import, not needed for wrong flags
    from latentsync.training.preparation.settings import check
    from latentsync.weights.licences import accept

    settings = check(_settings(options))
    workers = _workers(options.workers)
    accept(options.accept_licence)
    flags = {"runtime.device": options.device, "weights.offline": options.offline}
    config = load_config(None, options.overrides, flags=flags)
    # What follows imports torch, which takes seconds.
    from latentsync.commands.preparing import run_preparation

    return run_preparation(
        Path(options.input).absolute(),
        Path(options.output).absolute(),
        settings,
        _options(options),
        config,
        workers=workers,
        cluster=options.cluster,
        quiet=options.quiet,
    )


def _settings(options: argparse.Namespace) -> PreparationSettings:
    given: dict[str, Any] = {one.name: getattr(options, one.name) for one in fields(DEFAULTS)}
    return PreparationSettings(**{**given, "skip": tuple(options.skip)})


def _workers(given: int | None) -> int | None:
    if given is not None and given < 1:
        raise ConfigError("--workers", given, "at least one process has to work")
    return given


def _options(options: argparse.Namespace) -> Options:
    from latentsync.training.preparation.run import Options

    if not 0 <= options.validation <= 50:
        raise ConfigError("--validation", options.validation, "it is a percentage, from 0 to 50")
    return Options(
        way=options.speakers,
        share=options.validation / 100,
        shard_bytes=_shard_bytes(options.shards),
        need_syncnet=options.need_syncnet,
        check_disk=not options.ignore_disk,
    )


def _shard_bytes(text: str) -> int:
    if text == "off":
        return 0
    if not text.isdigit() or int(text) == 0:
        raise ConfigError("--shards", text, "give megabytes, such as 500, or off")
    return int(text) * MEGABYTE
