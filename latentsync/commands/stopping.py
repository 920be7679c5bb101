"""Ctrl-C and SIGTERM as a wish: what is in progress is finished and saved first."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

from latentsync.commands.console import DONE, INTERRUPTED, TERMINATED

PATIENCE = 3.0
"""Seconds in which a second Ctrl-C is still the first one: launchers pass it on once more."""


class Stop:
    """Call it for the signal that asked for an end; 0: none did. speaks: says that it was heard.

    Another Ctrl-C later raises KeyboardInterrupt.
    """

    def __init__(self, *, speaks: bool = True) -> None:
        self._signal, self._first, self._speaks = 0, 0.0, speaks

    def __call__(self) -> int:
        return self._signal

    def listen(self) -> None:
        """For the whole process, from now on."""
        signal.signal(signal.SIGINT, self._asked)
        signal.signal(signal.SIGTERM, self._asked)

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if self._signal:
            if number == signal.SIGINT and time.monotonic() - self._first > PATIENCE:
                raise KeyboardInterrupt
            return
        self._signal, self._first = number, time.monotonic()
        if self._speaks:
            line = "stopping: this step is finished and saved (Ctrl-C again: at once, unsaved)"
            print(line, file=sys.stderr, flush=True)


def exit_code(stopped_by: int) -> int:
    """stopped_by: a signal, or 0."""
    return {0: DONE, int(signal.SIGTERM): TERMINATED}.get(stopped_by, INTERRUPTED)
