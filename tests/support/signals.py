"""Child processes of tests, as a terminal would start them."""

from __future__ import annotations

import signal


def accept_ctrl_c() -> None:
    """For preexec_fn: tests run in the background ignore Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
