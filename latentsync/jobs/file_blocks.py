"""Reads files in blocks. A machine loads this module alone to send a file: it imports nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

BLOCK = 32 << 20
"""Bytes that are sent at once."""


def blocks(path: str) -> Iterator[bytes]:
    """The contents of a file."""
    with Path(path).open("rb") as file:
        while block := file.read(BLOCK):
            yield block
