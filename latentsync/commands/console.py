"""Shared by all commands: process set-up, exit codes, one-line errors."""

from __future__ import annotations

import argparse
import difflib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from latentsync.commands.quiet import quiet_libraries
from latentsync.errors import LatentSyncError
from latentsync.runtime.allocator import share_freed_memory

if TYPE_CHECKING:
    from latentsync.settings.schema import Config

DONE, USER_ERROR, INTERRUPTED, TERMINATED = 0, 2, 130, 143
SETTINGS = "settings"
"""Attribute of the parsed flags: key=value words found among the values of a flag."""


class Parser(argparse.ArgumentParser):
    """Accepts hyphens and underscores in flags; an error is one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see --help", file=sys.stderr)
        raise SystemExit(USER_ERROR)

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Returns the flags, with all other words in ``overrides``.

        Settings that an action has put into SETTINGS come before the others.
        """
        known, rest = self.parse_known_args([_underscored(text) for text in arguments])
        for text in rest:
            if text.startswith("-") and len(text) > 1:
                flags = [name for a in self._actions for name in a.option_strings]
                close = difflib.get_close_matches(text.split("=")[0], flags, n=1)
                self.error(
                    f"unknown flag {text}" + (f"; did you mean {close[0]}?" if close else "")
                )
        known.overrides = [*getattr(known, SETTINGS, []), *rest]
        return known


def _underscored(text: str) -> str:
    if not text.startswith("--"):
        return text
    flag, equals, value = text[2:].partition("=")
    return f"--{flag.replace('-', '_')}{equals}{value}"


def add_weights_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what the commands have in common about weights: --offline and --accept_licence."""
    parser.add_argument(
        "--offline", action="store_true", default=None, help="do not download; list what is missing"
    )
    parser.add_argument(
        "--accept_licence",
        action="append",
        default=[],
        metavar="NAME",
        help="accept the non-commercial licence of weights, once: CodeFormer, insightface",
    )


def weights_config(options: argparse.Namespace) -> Config:
    """The settings of a command about weights, its licences accepted. options: with the flags of
    add_weights_flags, and config, superres, generator and overrides. Raises ConfigError."""
    from latentsync.settings.load import load_config  # takes a moment
    from latentsync.weights.licences import accept

    accept(options.accept_licence)
    flags = {
        "restore.name": options.superres,
        "generate.name": options.generator,
        "weights.offline": options.offline,
    }
    return load_config(options.config, options.overrides, flags=flags)


class _OneLine(logging.Handler):
    """Log records as single lines on stderr, above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm  # imported late: argument errors do not need it

        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        tqdm.write(level + " ".join(record.getMessage().split()), file=sys.stderr)


def run(main: Callable[[], int], *, quiet: bool = False) -> int:
    """Sets up the process, runs a command, and returns its exit code.

    0 done; 2 an error of input or set-up, one line on stderr; 130 Ctrl-C; 143 terminated.
    Anything else is a bug: it keeps its traceback (exit code 1).
    """
    logging.basicConfig(level=logging.WARNING, handlers=[_OneLine()], force=True)
    for package in ("latentsync", "GFPGAN", "CodeFormer"):
        logging.getLogger(package).setLevel(logging.WARNING if quiet else logging.INFO)
    signal.signal(signal.SIGTERM, _terminate)
    share_freed_memory()
    try:
        with quiet_libraries():
            return main()
    except LatentSyncError as error:
        print_error(error)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED


def print_error(error: LatentSyncError, *, of: str = "") -> None:
    """Prints one line. of: the video that it came from, if there are several."""
    print(f"error: {of}{': ' if of else ''}{' '.join(str(error).split())}", file=sys.stderr)


def agrees(question: str) -> bool | None:
    """Asks on a terminal, on stderr -> whether the answer is yes. None: there is no terminal."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def use_threads(count: int) -> None:
    """Sets PyTorch's CPU threads, and leaves OpenCV one, for the whole process.

    count: see latentsync.runtime.execution.torch_threads. For commands only, after
    the execution is chosen.
    """
    import cv2  # takes a moment
    import torch  # takes seconds

    torch.set_num_threads(count)
    cv2.setNumThreads(1)


def _terminate(_signal: int, _frame: object) -> None:
    raise SystemExit(TERMINATED)
