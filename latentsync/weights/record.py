"""Stores computed hashes and accepted licences between runs.

One small JSON file in the user's state folder, which can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from latentsync import places

logger = logging.getLogger(__name__)

LOCK_SECONDS = 10


def sha256(path: Path) -> str:
    """Hexadecimal. Computed once for each path, size and modification time; about 1 s per GB."""
    known = known_sha256(path)
    if known:
        return known
    mark, digest = _mark(path), file_sha256(path)
    entry = {str(path.resolve()): [*mark, digest]}
    _update(lambda record: record.setdefault("sha256", {}).update(entry))
    return digest


def known_sha256(path: Path) -> str:
    """The stored hash; empty: there is none, or the file has changed since."""
    entry = _read().get("sha256", {}).get(str(path.resolve()))
    return str(entry[2]) if entry is not None and entry[:2] == _mark(path) else ""


def forget(path: Path) -> None:
    """Removes the stored hash of the file."""
    _update(lambda record: record.get("sha256", {}).pop(str(path.resolve()), None))


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def file_sha256(path: Path) -> str:
    """Hexadecimal, computed from the file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def accepted_licences() -> set[str]:
    """Names of licences that were accepted on this machine, in lower case."""
    return set(_read().get("licences", []))


def accept_licence(name: str) -> None:
    """Stores that the licence was accepted."""
    _update(lambda record: record.update(licences=sorted({*_licences(record), name.lower()})))


def first_time(remark: str) -> bool:
    """Whether the remark is new on this machine; stores it."""
    if remark in _read().get("said", []):
        return False
    _update(lambda record: record.update(said=sorted({*record.get("said", []), remark})))
    return True


def record_path() -> Path:
    """$XDG_STATE_HOME/latentsync/weights.json, by default in ~/.local/state (for an installed
    package not on Linux, in the system's own folder)."""
    return places.state_folder() / "weights.json"


def _licences(record: dict[str, Any]) -> list[str]:
    return list(record.get("licences", []))


def _read() -> dict[str, Any]:
    try:
        content = json.loads(record_path().read_text())
    except (OSError, ValueError):  # missing or damaged: it is created again
        return {}
    return content if isinstance(content, dict) else {}


def _update(change: Callable[[dict[str, Any]], Any]) -> None:
    path = record_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS):
            record = _read()
            change(record)
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(record, indent=1))
            fresh.replace(path)
    except (OSError, TimeoutError) as error:
        logger.debug("cannot write %s: %s", path, error)
