"""Read-ahead over iterators, in threads; and cancellation."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, TypeVar

from latentsync.errors import Cancelled
from latentsync.pipeline.stage_timer import Stage, StageTimer

T = TypeVar("T")

JOIN_SECONDS = 5.0  # seconds

PLACE_BYTES = 2**24
"""Memory of one place in a queue, which is more than a frame of 1080p with its patches takes. What
holds more takes several places: a queue of four holds two frames of 4K."""

Waited = Callable[[float], None]


def _ignore(_seconds: float) -> None:
    pass


def unchecked() -> None:
    """The check of work that cannot be cancelled."""


class CancelFlag:
    """Set from any thread; the stages check it between two steps."""

    def __init__(self, what: str) -> None:
        self._what, self._how = what, ""

    def set(self, how: str = "was cancelled") -> None:
        self._how = self._how or how

    def check(self) -> None:
        """Raises Cancelled once the flag is set."""
        if self._how:
            raise Cancelled(self._what, self._how)

    def checked(self, items: Iterable[T]) -> Iterable[T]:
        """The same items; raises Cancelled between two of them once the flag is set."""
        return Checked(items, self.check)


class Checked(Generic[T]):
    """An iterable that calls check before each item; check may raise."""

    def __init__(self, items: Iterable[T], check: Callable[[], None]) -> None:
        self._items, self._check = items, check

    def __iter__(self) -> Iterator[T]:
        for item in self._items:
            self._check()
            yield item


def prefetch(
    items: Iterable[T], depth: int, *, for_input: Waited = _ignore, handed_on: Waited = _ignore
) -> Generator[T, None, None]:
    """The same items in the same order, made up to ``depth`` ahead in another thread; fewer where
    they are large, see places().

    An exception raised by ``items`` is raised here, after the items before it. When the consumer
    stops early (close, exception, Ctrl-C) the thread is stopped and joined, for JOIN_SECONDS at
    most: a network may take minutes for the item that it is working on.

    for_input: called by the consumer with the seconds that it waited for an item. handed_on: called
    by the thread with the seconds that an item waited for room, one call for each.
    """
    ready: queue.Queue[tuple[str, Any]] = PlacedQueue(maxsize=depth)
    stop = threading.Event()
    arguments = (items, ready, stop, handed_on)
    worker = threading.Thread(target=_fill, args=arguments, daemon=True)
    worker.start()
    try:
        while True:
            begin = time.perf_counter()
            kind, value = ready.get()
            for_input(time.perf_counter() - begin)
            if kind == "item":
                yield value
            elif kind == "error":
                try:
                    raise value
                finally:
                    del value  # else a reference cycle keeps this stack frame alive
            else:
                return
            del value  # else one more item stays in memory
    finally:
        stop.set()
        deadline = time.monotonic() + JOIN_SECONDS
        while worker.is_alive() and time.monotonic() < deadline:
            _drain(ready)
            worker.join(timeout=0.02)
        _drain(
            ready
        )  # an error left here would keep the frames of its traceback, and their threads


def linked(
    items: Iterable[T], maker: Stage, taker: Stage, depth: int, *, timer: StageTimer
) -> Generator[T, None, None]:
    """prefetch() from one stage to the next; the timer adds the waits to these two stages."""
    return prefetch(
        items, depth, for_input=timer.for_input(taker), handed_on=timer.handed_on(maker)
    )


def places(item: object) -> int:
    """How many places of a queue an item takes; its memory is its ``nbytes``, if it has that."""
    return max(1, -(-int(getattr(item, "nbytes", 0)) // PLACE_BYTES))


class PlacedQueue(queue.Queue[tuple[str, Any]]):
    """A queue that is full when its places are taken; the last item may take more than are left."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._taken = 0

    def _qsize(self) -> int:
        return self._taken

    def _put(self, item: tuple[str, Any]) -> None:
        self._taken += places(item[1])
        super()._put(item)

    def _get(self) -> tuple[str, Any]:
        item: tuple[str, Any] = super()._get()
        self._taken -= places(item[1])
        return item


def _fill(items: Iterable[T], ready: queue.Queue, stop: threading.Event, handed_on: Waited) -> None:
    source = iter(items)
    try:
        for item in source:
            begin = time.perf_counter()
            ready.put(("item", item))
            handed_on(time.perf_counter() - begin)
            if stop.is_set():
                return
            del item
        ready.put(("end", None))
    except BaseException as error:
        ready.put(("error", error))
    finally:
        _close(source)


def _close(source: object) -> None:
    """Closes a generator in the thread that ran it, and with it the threads that it reads from."""
    close = getattr(source, "close", None)
    if close is not None:
        close()


def _drain(ready: queue.Queue) -> None:
    while True:
        try:
            ready.get_nowait()
        except queue.Empty:
            return
