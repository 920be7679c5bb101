"""Errors as ComfyUI's page shows them: one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from latentsync.errors import Cancelled, LatentSyncError


class LatentSyncNodeError(Exception):
    """What the user can mend; its message is the line."""


def line_of(error: LatentSyncError) -> str:
    return " ".join(str(error).split())


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Errors that the user can mend leave the block as one line, without the way they came.

    Cancelled passes through: see Interruption. Anything else is a bug, and keeps its traceback.
    """
    try:
        yield
    except Cancelled:
        raise
    except LatentSyncError as error:
        raise LatentSyncNodeError(line_of(error)) from None
