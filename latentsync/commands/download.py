"""Download, list, verify and convert the weights that a configuration needs.

python -m scripts.download --superres CodeFormer --accept-licence CodeFormer
python -m scripts.download --list
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentsync import __version__
from latentsync.commands.console import (
    DONE,
    USER_ERROR,
    Parser,
    add_weights_flags,
    run,
    weights_config,
)
from latentsync.errors import CheckpointError
from latentsync.places import command
from latentsync.weights import record
from latentsync.weights.evaluation_files import FETCHED
from latentsync.weights.find import find
from latentsync.weights.manifest import MODEL_FILES
from latentsync.weights.model_file import ModelFile

if TYPE_CHECKING:
    from latentsync.settings.schema import Config

PICKLED = (".pt", ".pth", ".pkl", ".model")
"""Suffixes of PyTorch's files, which can be converted."""


def build_parser() -> Parser:
    parser = Parser(
        prog=command("download"),
        description="Download the weights that a configuration needs for lip-sync and restoration, "
        "and the models that find faces and hands, which every run needs (6.2 MB). Files that are "
        "already there are not downloaded again.",
        epilog="Settings can follow as key=value, such as weights.folders=[/data].",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add("--config", "--unet_config_path", metavar="YAML", help="file with settings; see configs/")
    add(
        "--superres",
        metavar="NAME",
        help="restorer: GFPGAN or CodeFormer; Detail (default), Self and none have no weights",
    )
    add(
        "--generator",
        metavar="NAME",
        help="latentsync (default, 5.5 GB), musetalk (3.8 GB), or replay, which has no weights",
    )
    add(
        "--speakers",
        action="store_true",
        help="also the model that tells who speaks (face.speaker=auto, 3.4 MB)",
    )
    add_weights_flags(parser)
    add("--quiet", action="store_true", help="no progress; only the files, warnings and errors")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--evaluation",
        action="store_true",
        help="only what the evaluate command uses: SyncNet and HyperIQA (164 MB)",
    )
    what.add_argument("--list", action="store_true", help="list every file: size, licence, path")
    what.add_argument("--verify", action="store_true", help="compute the hashes of all files found")
    what.add_argument(
        "--convert", action="store_true", help="write a .safetensors next to each .pt"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    options = build_parser().read(sys.argv[1:] if arguments is None else arguments)
    return run(lambda: _run(options), quiet=options.quiet)


def _run(options: argparse.Namespace) -> int:
    config = weights_config(options)
    if options.list:
        return _list(config)
    if options.verify:
        return _verify(config)
    return _convert(config) if options.convert else _fetch(config, options)


def _fetch(config: Config, options: argparse.Namespace) -> int:
    from latentsync.commands.progress import byte_bar
    from latentsync.pipeline.requirements import face_models, weights_wanted
    from latentsync.weights.ensure import ensure_weights, no_byte_progress

    wanted = weights_wanted(config, speech=True, speakers=options.speakers)
    if options.evaluation:
        wanted = [(model, None) for model in (*face_models(config), *FETCHED)]
    paths = ensure_weights(
        wanted,
        folders=config.weights.folders,
        offline=config.weights.offline,
        progress=no_byte_progress if options.quiet else byte_bar,
    )
    for (model, _), path in zip(wanted, paths, strict=True):
        print(f"{model.key}: {path} (licence: {model.licence})")
    if not wanted:
        print("this configuration needs no weights")
    return DONE


def _list(config: Config) -> int:
    rows = [("model", "file", "size", "verified", "licence", "needed by", "path, or source")]
    for model in MODEL_FILES.values():
        path = _found(model, config)
        digest = "" if path is None else record.known_sha256(path)
        verified = {model.sha256: "yes", "": "not yet"}
        rows.append(
            (
                model.key,
                model.filename,
                model.size,
                "" if path is None else verified.get(digest, "unknown checksum"),
                str(model.licence),
                model.needed_by,
                str(path or f"from {model.sources[0]}"),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip())
    return DONE


def _verify(config: Config) -> int:
    from latentsync.weights.verify import origin_sha256

    found = [(model, _found(model, config)) for model in MODEL_FILES.values()]
    others = 0
    for model, path in found:
        if path is None:
            continue
        before = record.known_sha256(path)
        record.forget(path)
        intact = record.sha256(path) == before or not before
        good = intact and origin_sha256(path) == model.sha256
        others += not good
        print(f"{'verified' if good else 'NOT THE PUBLISHED FILE'}: {model.key}: {path}")
    if not any(path for _, path in found):
        print("no weights found")
    return USER_ERROR if others else DONE


def _convert(config: Config) -> int:
    from latentsync.weights.convert import convert
    from latentsync.weights.load import is_safetensors

    for model in MODEL_FILES.values():
        path = _found(model, config)
        if path is not None and path.suffix in PICKLED and not is_safetensors(path):
            print(f"{model.key}: {convert(path)}")
    return DONE


def _found(model: ModelFile, config: Config) -> Path | None:
    try:
        return find(model, folders=config.weights.folders)
    except CheckpointError:
        return None
