"""The installed command: ``latentsync ...``, and ``latentsync download ...`` for weights."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from latentsync.commands import download, inference

DOWNLOAD = "download"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return download.main(given[1:]) if given[:1] == [DOWNLOAD] else inference.main(given)
