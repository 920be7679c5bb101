"""Sets up the processes that prepare_data starts. Imports nothing slow."""

from __future__ import annotations

import logging
import signal
import threading


def ignore_interrupts() -> None:
    """Ctrl-C reaches all processes of a terminal: the first one ends the others. Those of Ray are
    kept from it, and are called in threads, which cannot change signals."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def in_worker() -> None:
    """One thread each: there are several of them, and they log warnings only."""
    from latentsync.commands.console import use_threads
    from latentsync.commands.quiet import quiet_libraries

    ignore_interrupts()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with quiet_libraries():  # which lasts
        use_threads(1)
