"""Errors as ComfyUI's page shows them: one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from latentsync.errors import LatentSyncError

T = TypeVar("T")


class LatentSyncNodeError(Exception):
    """What the user can mend; its message is the line."""


def line_of(error: LatentSyncError) -> str:
    return " ".join(str(error).split())


def in_one_line(work: Callable[[], T]) -> T:
    """What the work returns. What the user can mend is raised anew, without the way it came: that
    would be shown, and would keep models in memory. Anything else is a bug and stays as it is."""
    try:
        return work()
    except LatentSyncError as error:
        line = line_of(error)
    raise LatentSyncNodeError(line)
