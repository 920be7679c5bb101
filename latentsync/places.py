"""Which folders are this copy's own, a checkout's or an installed package's; files made whole."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "latentsync"  # of the folder, in each of the user's
PACKAGE = Path(__file__).resolve().parent


def is_installed() -> bool:
    """Whether it was installed as a package, whose own folder nobody should write into.

    The shipped configurations tell: they lie inside of an installed package, beside a checkout's.
    """
    return (PACKAGE / "configs").is_dir()


def weights_root() -> Path:
    """The folder that a model's places (weights.manifest) are relative to."""
    if not is_installed():
        return PACKAGE.parent
    from platformdirs import user_data_path

    return user_data_path(NAME, appauthor=False)


def cache_folder() -> Path:
    """Of what can be made again. $XDG_CACHE_HOME/latentsync, where that is set."""
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared or not is_installed():
        return (Path(shared) if shared else Path.home() / ".cache") / NAME
    from platformdirs import user_cache_path

    return user_cache_path(NAME, appauthor=False)


def state_folder() -> Path:
    """Of what is remembered between runs. $XDG_STATE_HOME/latentsync, where that is set."""
    shared = os.environ.get("XDG_STATE_HOME")
    if shared or not is_installed():
        return (Path(shared) if shared else Path.home() / ".local" / "state") / NAME
    from platformdirs import user_state_path

    return user_state_path(NAME, appauthor=False)


def shipped_config(path: Path) -> Path | None:
    """The shipped configuration that is meant by ``unet.yaml`` or ``configs/unet.yaml``, if any."""
    if path.parent not in (Path(), Path("configs")):
        return None
    home = PACKAGE if is_installed() else PACKAGE.parent
    shipped = home / "configs" / path.name
    return shipped if shipped.is_file() else None


def command(name: str) -> str:
    """How the user of this copy calls a command: ``inference`` or ``download``."""
    if not is_installed():
        return f"python -m scripts.{name}"
    return NAME if name == "inference" else f"{NAME} {name}"


@contextmanager
def part_file(path: Path) -> Iterator[Path]:
    """A file that appears under its name only when complete.

    Yields the file to write to: beside its place, this thread's own; it is gone if the block fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
