"""The header of a safetensors file, read without the tensors and without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LONGEST = 100_000_000  # bytes; the format's own limit
LENGTH = 8  # bytes that hold the header's length


def read_header(path: Path) -> dict[str, Any] | None:
    """Name -> dtype, shape and place of the tensors; None: the file is of another format.

    Raises OSError.
    """
    with path.open("rb") as file:
        start = file.read(LENGTH + 1)
        if start[LENGTH:] != b"{":
            return None
        length = int.from_bytes(start[:LENGTH], "little")
        if length > LONGEST:
            return None
        try:
            header = json.loads(start[LENGTH:] + file.read(length - 1))
        except (ValueError, RecursionError):
            return None
    return header if isinstance(header, dict) else None


def metadata(header: dict[str, Any] | None) -> dict[str, str]:
    """What a file says of itself; empty: nothing."""
    about = None if header is None else header.get("__metadata__")
    return dict(about) if isinstance(about, dict) else {}
