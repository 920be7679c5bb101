"""A terminal to run a command on, and what it shows."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

try:
    import pty
except ImportError:  # Windows
    pty = None  # type: ignore[assignment]

THERE_ARE_NONE = pty is None


@dataclass
class Terminal:
    """number: the file descriptor for a command. shown: complete when the context has ended."""

    number: int
    shown: str = ""
    _parts: list[bytes] = field(default_factory=list)


@contextmanager
def terminal(typed: str = "") -> Iterator[Terminal]:
    """typed: what is typed beforehand."""
    controller, number = pty.openpty()
    os.write(controller, typed.encode())
    made = Terminal(number)

    def read() -> None:
        try:
            while part := os.read(controller, 1 << 16):
                made._parts.append(part)
        except OSError:  # nobody has it open any more
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield made
    finally:
        os.close(number)
        reader.join(10)
        os.close(controller)
        made.shown = b"".join(made._parts).decode()
