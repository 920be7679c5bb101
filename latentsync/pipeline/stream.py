"""Read-ahead over iterators. The only place of the project that starts a thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 5.0  # seconds


def prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items in the same order, made up to ``depth`` ahead in a thread of their own.

    An exception raised by ``items`` is raised here, after the items before it. When the consumer
    stops early (close, exception, Ctrl-C) the thread is told to stop, and waited for, though no
    longer than PATIENCE: a network may be minutes into an item that nobody wants any more.
    """
    ready: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    worker = threading.Thread(target=_fill, args=(items, ready, stop), daemon=True)
    worker.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "item":
                yield value  # type: ignore[misc]
            elif kind == "error":
                raise value  # type: ignore[misc]
            else:
                return
    finally:
        stop.set()
        deadline = time.monotonic() + PATIENCE
        while worker.is_alive() and time.monotonic() < deadline:
            _drain(ready)
            worker.join(timeout=0.02)


def _fill(items: Iterable[T], ready: queue.Queue, stop: threading.Event) -> None:
    try:
        for item in items:
            ready.put(("item", item))
            if stop.is_set():
                return
        ready.put(("end", None))
    except BaseException as error:
        ready.put(("error", error))


def _drain(ready: queue.Queue) -> None:
    while True:
        try:
            ready.get_nowait()
        except queue.Empty:
            return
