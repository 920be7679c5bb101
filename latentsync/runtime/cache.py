"""The cache of converted graphs on disk, verified by hash before use.

Each graph has a folder, named by a hash of all that the graph depends on, so that outdated graphs
are never used. The cache can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from latentsync import places
from latentsync.errors import ConfigError
from latentsync.weights.record import file_sha256

logger = logging.getLogger(__name__)

FILES = ("model.xml", "model.bin")
ABOUT = "key.json"
NAME_LENGTH = 32  # hexadecimal digits of the hash that a folder is named after

M = TypeVar("M")


def folder() -> Path:
    """$LATENTSYNC_CACHE/openvino; by default $XDG_CACHE_HOME/latentsync/openvino, or the same in
    ~/.cache; for an installed package not on Linux, the system's cache folder."""
    named = os.environ.get("LATENTSYNC_CACHE")
    return (Path(named) if named else places.cache_folder()) / "openvino"


def kept(
    key: Mapping[str, str],
    make: Callable[[], M],
    save: Callable[[M, Path], None],
    files: Sequence[str] = FILES,
    *,
    anew: bool = False,
) -> Path | M:
    """The file of the graph in the cache, made by ``make`` where it is missing or damaged.

    key: all that the graph depends on. anew: it is made in any case. save: writes the files, given
    the path of the first; raises OSError or RuntimeError. Processes and threads that need the same
    graph take turns. Returns the graph itself where it cannot be saved. Raises whatever ``make``
    raises.
    """
    home = _home(key)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        turn = _my_turn(home)
    except OSError as error:
        logger.warning("%s: %s; graphs are not cached", home.parent, error.strerror or error)
        return make()
    try:
        if not anew and _whole(home, key, files):
            _note_use(home)
            return home / files[0]
        return _made(home, key, make, save, files)
    finally:
        turn.release()


def check_writable() -> None:
    """Raises ConfigError where nothing can be kept."""
    home = folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        remedy = f"{error.strerror or error}; LATENTSYNC_CACHE names another folder"
        raise ConfigError("cannot write the cache of networks", home, remedy) from error


def found(key: Mapping[str, str], files: Sequence[str] = FILES) -> Path | None:
    """The file of a graph in the cache; None: it is not there, or damaged, which is logged."""
    home = _home(key)
    if not home.is_dir():
        return None
    try:
        turn = _my_turn(home)
    except OSError:  # a folder that is read-only: nobody changes it
        return home / files[0] if _whole(home, key, files) else None
    try:
        if not _whole(home, key, files):
            return None
        _note_use(home)
        return home / files[0]
    finally:
        turn.release()


def _home(key: Mapping[str, str]) -> Path:
    return folder() / hashlib.sha256(_text(key).encode()).hexdigest()[:NAME_LENGTH]


def _my_turn(home: Path) -> FileLock:
    """Acquires the lock of the graph."""
    lock = FileLock(home.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("another process or thread converts the same network; waiting")
        lock.acquire()
    return lock


def _made(
    home: Path,
    key: Mapping[str, str],
    make: Callable[[], M],
    save: Callable[[M, Path], None],
    files: Sequence[str],
) -> Path | M:
    model = make()
    try:
        with _complete_or_not_at_all(home) as part:
            save(model, part / files[0])
            marks = {name: _mark(part / name) for name in files}
            (part / ABOUT).write_text(json.dumps({"key": dict(key), "files": marks}, indent=1))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        logger.warning("%s: %s; the graph is not cached", home, reason)
        return model
    return home / files[0]


@contextmanager
def _complete_or_not_at_all(home: Path) -> Iterator[Path]:
    """Yields a temporary folder that is renamed to ``home`` when the block succeeds."""
    part = home.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
    part.mkdir()
    try:
        yield part
        shutil.rmtree(home, ignore_errors=True)  # one that is made anew
        part.rename(home)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _whole(home: Path, key: Mapping[str, str], files: Sequence[str]) -> bool:
    """Whether the cached graph is complete and unchanged; a damaged one is removed."""
    if not home.is_dir():
        return False
    try:
        about = json.loads((home / ABOUT).read_text())
        if about["key"] == dict(key) and all(
            about["files"][name] == _mark(home / name) for name in files
        ):
            return True
        reason = "damaged"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"incomplete ({type(error).__name__})"
    logger.warning("%s is %s; it has to be converted again", home, reason)
    shutil.rmtree(home, ignore_errors=True)
    return False


def _note_use(home: Path) -> None:
    """For cache_contents, which removes what was not used for long."""
    with suppress(OSError):  # the cache may be read-only
        (home / ABOUT).touch()


def _mark(path: Path) -> dict[str, str | int]:
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _text(key: Mapping[str, str]) -> str:
    return json.dumps(dict(key), sort_keys=True)
