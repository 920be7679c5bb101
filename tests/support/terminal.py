"""A terminal to run a command on, with the text that it shows."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

try:
    import fcntl
    import pty
    import termios
except ImportError:  # Windows
    pty = None  # type: ignore[assignment]

THERE_ARE_NONE = pty is None
LINES, COLUMNS = 24, 120


@dataclass
class Terminal:
    """number: the file descriptor for a command. shown: complete when the context has ended."""

    number: int
    shown: str = ""
    _parts: list[bytes] = field(default_factory=list)


@contextmanager
def terminal(typed: str = "") -> Iterator[Terminal]:
    """typed: input that is typed in advance."""
    controller, number = pty.openpty()
    fcntl.ioctl(number, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    os.write(controller, typed.encode())
    made = Terminal(number)

    def read() -> None:
        try:
            while part := os.read(controller, 1 << 16):
                made._parts.append(part)
        except OSError:  # all have closed it
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
