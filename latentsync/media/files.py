"""Checks of file names, before any file is opened and PyAV is imported."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from latentsync.errors import ConfigError, MediaError


def check_names(video: Path, target: Path, *, overwrite: bool) -> None:
    """Raises MediaError if the video does not exist, ConfigError if the output does.

    open_source and check_target do all further checks.
    """
    check_there(video)
    with suppress(OSError):  # of the target's name: check_target says it better
        if target.is_file() and not target.samefile(video):
            check_free(target, overwrite=overwrite)


def check_there(video: Path) -> None:
    """Raises MediaError where it is not there, or no regular file."""
    with _named(video):
        _regular_size(video, "video")


def check_video(path: Path) -> None:
    """Raises MediaError where it is not there, no regular file, or empty."""
    with _named(path):
        check_file(path, "video")


def check_file(path: Path, what: str) -> None:
    """Raises MediaError: a folder, no regular file, empty; OSError: not there. what: to be said."""
    if _regular_size(path, what) == 0:
        raise MediaError(f"the {what} is empty (0 bytes)", path, "copy or record it again")


def _regular_size(path: Path, what: str) -> int:
    mode, size = path.stat().st_mode, path.stat().st_size
    if stat.S_ISDIR(mode):
        raise MediaError(f"the {what} is a folder", path, "name a file in it")
    if not stat.S_ISREG(mode):
        raise MediaError(f"the {what} is no regular file", path, "save it to a file first")
    return size


@contextmanager
def _named(video: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = f"{error.strerror}; check the path"
        raise MediaError("cannot open the video", video, remedy) from error


def check_free(target: Path, *, overwrite: bool) -> None:
    """Raises ConfigError if the output exists and may not be replaced."""
    if target.exists() and not overwrite:
        remedy = "replace it with --overwrite (output.overwrite=true), or choose another name"
        raise ConfigError("the output already exists", target, remedy)
