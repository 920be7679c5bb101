"""The installed command: ``latentsync ...``, and with a first word ``latentsync download ...``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

OTHERS = {
    "download": "download",
    "evaluate": "evaluate",
    "provenance": "provenance",
    "batch": "run_jobs",
    "jobs": "jobs",
    "serve": "serve",
    "cache": "cache",
    "train_unet": "train_unet",
    "train_syncnet": "train_syncnet",
    "prepare_data": "prepare_data",
}
"""First word of the command line -> its module beside this one; without one it is inference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    other = OTHERS.get(given[0]) if given else None
    module = import_module(f"latentsync.commands.{other or 'inference'}")
    code: int = module.main(given if other is None else given[1:])
    return code
