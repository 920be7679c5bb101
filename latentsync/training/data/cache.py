"""Arrays that were computed from a clip, kept by its content.

A file that is renamed or moved keeps them, and one that is changed gets new ones. Any number of
processes may use one folder: a file appears when it is complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from latentsync.errors import ConfigError
from latentsync.places import part_file

_BLOCK = 1 << 20
_HASHES = 65536  # of files that are kept; 200 bytes each


class ArrayCache:
    """folder: for one kind of arrays, made by one version of one network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, clip: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of the clip, read-only. Computed where there is none, or a damaged one.

        Raises ConfigError: the folder cannot be written to; and what compute() raises.
        """
        path = self._path(clip)
        found = _read(path)
        if found is not None:
            return found
        self._write(path, compute())
        again = _read(path)
        assert again is not None
        return again

    def has(self, clip: Path) -> bool:
        return self._path(clip).is_file()

    def _path(self, clip: Path) -> Path:
        name = content_hash(clip)
        return self.folder / name[:2] / f"{name}.npy"

    def _write(self, path: Path, values: np.ndarray) -> None:
        try:
            with part_file(path) as part, part.open("wb") as file:
                np.save(file, values, allow_pickle=False)
        except OSError as error:
            remedy = f"{error.strerror}; name another folder: training.cache_dir"
            raise ConfigError("the cache cannot be written to", self.folder, remedy) from error


def content_hash(path: Path) -> str:
    """Hexadecimal, of the file's bytes. Computed once for each size and modification time."""
    status = path.stat()
    return _hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=_HASHES)
def _hash(path: Path, _size: int, _changed: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _read(path: Path) -> np.ndarray | None:
    try:
        values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values
