"""Folders of this copy, a checkout or an installed package; and files that appear when complete."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "latentsync"  # of this project's folder in the user's data, cache and state folders
PACKAGE = Path(__file__).resolve().parent


def is_installed() -> bool:
    """Whether it is installed as a package, whose folder must not be written to.

    The shipped configurations lie inside the package then, and beside it in a checkout.
    """
    return (PACKAGE / "configs").is_dir()


def weights_root() -> Path:
    """The folder that the places of weights (weights.manifest) are relative to."""
    if not is_installed():
        return PACKAGE.parent
    from platformdirs import user_data_path

    return user_data_path(NAME, appauthor=False)


def cache_folder() -> Path:
    """For files that can be recreated. $XDG_CACHE_HOME/latentsync, where that is set."""
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared or not is_installed():
        return (Path(shared) if shared else Path.home() / ".cache") / NAME
    from platformdirs import user_cache_path

    return user_cache_path(NAME, appauthor=False)


def state_folder() -> Path:
    """For what is stored between runs. $XDG_STATE_HOME/latentsync, where that is set."""
    shared = os.environ.get("XDG_STATE_HOME")
    if shared or not is_installed():
        return (Path(shared) if shared else Path.home() / ".local" / "state") / NAME
    from platformdirs import user_state_path

    return user_state_path(NAME, appauthor=False)


def shipped_config(path: Path) -> Path | None:
    """The shipped configuration called ``unet.yaml`` or ``configs/unet.yaml``, if there is one."""
    if path.parent not in (Path(), Path("configs")):
        return None
    home = PACKAGE if is_installed() else PACKAGE.parent
    shipped = home / "configs" / path.name
    return shipped if shipped.is_file() else None


def command(name: str) -> str:
    """The command line of ``inference`` or ``download`` in this copy."""
    if not is_installed():
        return f"python -m scripts.{name}"
    return NAME if name == "inference" else f"{NAME} {name}"


@contextmanager
def part_file(path: Path) -> Iterator[Path]:
    """A file that appears under its name only when complete.

    Yields a temporary file beside it, one for each thread; it is removed if the block fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
