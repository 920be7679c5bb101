"""What the cache of converted networks holds, and which of it is not needed any more."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from latentsync.runtime import cache

logger = logging.getLogger(__name__)

DAY = 86400  # seconds
_REMADE = ("version", "openvino", "torch", "sources")
"""Parts of a key that change with this program and its libraries, for the same network."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A converted network, or what is left of one.

    key: all that it depends on; empty: it is not complete. size: bytes. used: seconds since the
    epoch, when it was last loaded.
    """

    folder: Path
    key: Mapping[str, str]
    size: int
    used: float

    def __str__(self) -> str:
        kind = ", int8" if self.key.get("stored") == "int8" else ""
        return f"{self.key['network']}, {self.key['part']}{kind}" if self.key else self.folder.name


def contents() -> list[Kept]:
    """All of the cache, the most recently used first."""
    home = cache.folder()
    folders = [path for path in home.iterdir() if path.is_dir()] if home.is_dir() else []
    return sorted(map(_kept, folders), key=lambda one: one.used, reverse=True)


def unneeded(
    entries: Sequence[Kept],
    versions: Mapping[str, str],
    *,
    unused_days: float | None = None,
    most_bytes: int | None = None,
) -> dict[Path, str]:
    """Folder -> why it can go.

    entries: of contents(). versions: of what converts networks now; see network.versions.
    unused_days: also what was not loaded for so long. most_bytes: also what was not loaded for the
    longest time, until the rest takes no more.
    """
    reasons = {one.folder: reason for one in entries if (reason := _reason(one, versions))}
    seen: set[tuple[tuple[str, str], ...]] = set()
    for one in entries:  # the most recently used first
        same = tuple(sorted((k, v) for k, v in one.key.items() if k not in _REMADE))
        if one.folder not in reasons and same in seen:
            reasons[one.folder] = "converted again since"
        if one.key and one.folder not in reasons:
            seen.add(same)
    for one in entries:
        days = (time.time() - one.used) / DAY
        if unused_days is not None and days > unused_days:
            reasons.setdefault(one.folder, f"not used for {days:.0f} days")
    if most_bytes is not None:
        total = 0
        for one in entries:
            total += 0 if one.folder in reasons else one.size
            if total > most_bytes:
                reasons.setdefault(one.folder, "beyond the size that is asked for")
    return reasons


def remove(folders: Iterable[Path]) -> None:
    """Removes them; one that is being converted stays, which is logged. Raises OSError."""
    for path in folders:
        try:
            # The file of the lock stays: others may be waiting for it.
            with FileLock(path.with_suffix(".lock")).acquire(timeout=0):
                if path.is_dir():  # else renamed since by its conversion, or removed by others
                    shutil.rmtree(path)
        except Timeout:
            logger.warning("%s is being converted, and stays", path)


def _reason(one: Kept, versions: Mapping[str, str]) -> str:
    if not one.key:
        return "not complete"
    for name, now in versions.items():
        if one.key.get(name, now) != now:  # a compiled model file does not depend on torch
            return f"made by another {'version' if name == 'version' else f'version of {name}'}"
    return ""


def _kept(folder: Path) -> Kept:
    about = folder / cache.ABOUT
    files = [path for path in folder.iterdir() if path.is_file()]
    try:
        key = {
            str(name): str(value) for name, value in json.loads(about.read_text())["key"].items()
        }
        key["network"], key["part"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        key = {}
    used = max((path.stat().st_mtime for path in files), default=folder.stat().st_mtime)
    return Kept(folder, key, sum(path.stat().st_size for path in files), used)
