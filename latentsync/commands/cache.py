"""The cache of converted networks: what it holds, without what is not needed, ready before a run.

python -m scripts.cache list
python -m scripts.cache prune --unused 30 --yes
python -m scripts.cache prepare --superres GFPGAN
python -m scripts.cache quantize --superres GFPGAN --input a.mp4 b.mp4
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentsync import __version__
from latentsync.commands.console import DONE, Parser, add_weights_flags, agrees, run, weights_config
from latentsync.errors import ConfigError
from latentsync.generate.table import WITHOUT_WEIGHTS
from latentsync.places import command

if TYPE_CHECKING:
    from latentsync.runtime.cache_contents import Kept
    from latentsync.settings.schema import Config

MEGABYTE, GIGABYTE = 1e6, 1e9
NOTHING = "nothing is removed"


def build_parser() -> Parser:
    parser = Parser(
        prog=command("cache"),
        description="Converted networks are kept so that only the first run converts them. This "
        "lists them, removes those that no run will use again, converts them before a run, and "
        "makes those in 8-bit integers.",
    )
    version = f"latentsync {__version__}"
    parser.add_argument("--version", action="version", version=version)
    add = parser.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser
    add("list", help="print each network: size, when it was last used, whether it is needed")
    _add_prune_flags(add("prune", help="remove networks that no run will use again"))
    _add_prepare_flags(
        add(
            "prepare",
            help="convert the networks that the settings run, which may follow as key=value",
        )
    )
    _add_quantize_flags(
        add(
            "quantize",
            help="make GFPGAN's network in 8-bit integers with faces of your videos, for "
            "runtime.precision=int8, and print what it gains and how far it is from float32",
        )
    )
    return parser


def _add_prune_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--unused", type=_amount, metavar="DAYS", help="also those not used for so many days")
    add(
        "--size",
        type=_amount,
        metavar="GB",
        help="also those not used for the longest time, until the rest takes no more than that",
    )
    add("--all", action="store_true", help="all of them; the next run converts what it needs")
    add("--yes", action="store_true", help="remove them without asking")


def _amount(text: str) -> float:
    try:
        if 0 <= (amount := float(text)) < math.inf:
            return amount
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text}: use a number that is not below 0")


def _add_prepare_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", metavar="YAML", help="file with settings; see configs/")
    add("--superres", metavar="NAME", help="restorer, such as GFPGAN or CodeFormer")
    add("--generator", metavar="NAME", help="also what generates mouths: latentsync or musetalk")
    add_weights_flags(parser)


def _add_quantize_flags(parser: argparse.ArgumentParser) -> None:
    from latentsync.commands.quantize import add_quantize_flags

    add = parser.add_argument
    add("--config", metavar="YAML", help="file with settings; see configs/")
    add("--superres", metavar="NAME", default="GFPGAN", help="restorer; default: %(default)s")
    parser.set_defaults(generator=None)
    add_quantize_flags(parser)
    add_weights_flags(parser)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    parser = build_parser()
    options = parser.read(sys.argv[1:] if arguments is None else arguments)
    if options.overrides and options.action not in ("prepare", "quantize"):
        parser.error(f"{options.action} takes no {options.overrides[0]}")
    actions = {"list": _list, "prune": _prune, "prepare": _prepare, "quantize": _quantize}
    return run(lambda: actions[options.action](options))


def _list(_options: argparse.Namespace) -> int:
    from latentsync.runtime import cache
    from latentsync.runtime.cache_contents import contents, unneeded
    from latentsync.runtime.network import versions  # imports torch

    entries = contents()
    reasons = unneeded(entries, versions()) if entries else {}
    for one in entries:
        print(f"{_described(one)}  {reasons.get(one.folder, 'in use')}")
    print(f"{cache.folder()}: {_size(entries)}")
    return DONE


def _prune(options: argparse.Namespace) -> int:
    from latentsync.runtime import cache
    from latentsync.runtime.cache_contents import contents, remove, unneeded
    from latentsync.runtime.network import versions

    entries = contents()
    most = 0 if options.all else None if options.size is None else round(options.size * GIGABYTE)
    reasons = unneeded(entries, versions(), unused_days=options.unused, most_bytes=most)
    goes = [one for one in entries if one.folder in reasons]
    if not goes:
        print(f"{cache.folder()}: {_size(entries)}; {NOTHING}")
        return DONE
    for one in goes:
        print(f"{_described(one)}  {reasons[one.folder]}")
    if not (options.yes or _agreed(goes)):
        print(NOTHING)
        return DONE
    try:
        remove(reasons)
    except OSError as error:
        remedy = f"{error.strerror}; remove it by hand"
        raise ConfigError("cannot remove", error.filename, remedy) from error
    print(f"{cache.folder()}: {_size(contents())}")
    return DONE


def _agreed(goes: Sequence[Kept]) -> bool:
    """Asks on a terminal. Raises ConfigError elsewhere."""
    agreed = agrees(f"Remove {_size(goes)}?")
    if agreed is None:
        raise ConfigError(NOTHING, _size(goes), "add --yes to remove them")
    return agreed


def _prepare(options: argparse.Namespace) -> int:
    from latentsync.commands.console import use_threads

    config = weights_config(options)
    _check_weights(config, options)
    from latentsync.pipeline.engine import Engine  # imports torch
    from latentsync.runtime.cache_contents import contents
    from latentsync.runtime.execution import torch_threads

    begin, before = time.time(), {one.folder for one in contents()}
    engine = Engine(config)
    execution = engine.execution
    use_threads(torch_threads(execution, networks=True))
    if options.generator is not None:
        execution = engine.lipsync.execution
    ready = [one for one in contents() if one.used >= begin or one.folder not in before]
    for one in ready:
        print(_described(one))
    if not ready:
        print(f"these settings run no network that is converted ({execution})")
    return DONE


def _quantize(options: argparse.Namespace) -> int:
    from latentsync.commands.quantize import check_files, quantize

    config = weights_config(options)
    check_files(options, config)
    _check_weights(config, options)
    return quantize(options, config)


def _check_weights(config: Config, options: argparse.Namespace) -> None:
    """Raises CheckpointError where weights would be downloaded that are not small."""
    from latentsync.pipeline.requirements import missing_weights
    from latentsync.weights.refusal import refusal

    generator = options.generator
    missing = missing_weights(config, speech=generator is not None)
    large = [model for model in missing if not model.is_small]
    if large:
        flags = {
            "--config": options.config,
            "--generator": generator or WITHOUT_WEIGHTS,
            "--superres": options.superres,
        }
        named = [word for flag, value in flags.items() if value for word in (flag, value)]
        raise refusal(large, [*named, *options.overrides], or_else="name others that are here")


def _described(one: Kept) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(one.used))
    return f"{one.size / MEGABYTE:8.1f} MB  {day}  {one}"


def _size(entries: Sequence[Kept]) -> str:
    count = f"{len(entries)} network{'' if len(entries) == 1 else 's'}"
    return f"{count}, {sum(one.size for one in entries) / MEGABYTE:.1f} MB"
