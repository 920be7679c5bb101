"""Measures for each stage how long it worked, and how long it waited for its neighbours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar

T = TypeVar("T")


class Stage(StrEnum):
    """The stages, in the order of processing."""

    LOAD = "load"
    DECODE = "decode"
    DETECT = "detect"
    MEASURE = "measure"
    ALIGN = "align"
    PREPARE = "prepare"
    SAMPLE = "sample"
    FIT = "fit"
    DECODE_AGAIN = "decode (pass 2)"
    ENCODE_AUDIO = "encode audio"
    GENERATE = "generate"
    RESTORE = "restore"
    OCCLUDE = "occlude"
    COMPOSITE = "composite"
    CONVERT = "convert"
    ENCODE = "encode"
    COPY = "copy"
    JOIN = "join"
    EVALUATE = "evaluate"


@dataclass(slots=True)
class Work:
    """Wall seconds of one stage over the video.

    busy: working. for_input: waiting for the previous stage. for_room: blocked by a full queue to
    the next stage. frames: that it handed on.
    """

    busy: float = 0.0
    for_input: float = 0.0
    for_room: float = 0.0
    frames: int = 0

    def plus(self, other: Work) -> Work:
        return Work(
            self.busy + other.busy,
            self.for_input + other.for_input,
            self.for_room + other.for_room,
            self.frames + other.frames,
        )

    def minus(self, other: Work) -> Work:
        return Work(
            self.busy - other.busy,
            self.for_input - other.for_input,
            self.for_room - other.for_room,
            self.frames - other.frames,
        )


def added(one: Mapping[str, Work], other: Mapping[str, Work]) -> dict[str, Work]:
    """By stage, of both."""
    names = {**one, **other}
    return {name: one.get(name, Work()).plus(other.get(name, Work())) for name in names}


class StageTimer:
    """The work of all stages by name, in the order in which they first reported.

    Stages may run at the same time, each in its own thread.
    """

    def __init__(self) -> None:
        self._work: dict[Stage, Work] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: Stage, frames: int = 0) -> Iterator[None]:
        """Adds the time spent inside the ``with`` block to the stage.

        frames: that it processed, where handed_on() does not count them.
        """
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._add(name, busy=time.perf_counter() - begin, frames=frames)

    def timed(self, name: Stage, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time that it takes to make each is added to the stage."""
        source = iter(items)
        while True:
            begin = time.perf_counter()
            try:
                item = next(source)
            except StopIteration:
                return
            finally:
                self._add(name, busy=time.perf_counter() - begin)
            yield item

    def for_input(self, name: Stage) -> Callable[[float], None]:
        """Returns a function that takes the seconds the stage has waited for input."""
        return partial(self._waited_for_input, name)

    def handed_on(self, name: Stage) -> Callable[[float], None]:
        """Returns a function to call for each frame handed on, with the seconds of waiting."""
        return partial(self._handed_on, name)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of work by stage."""
        with self._lock:
            return {name.value: work.busy for name, work in self._work.items()}

    @property
    def work(self) -> dict[str, Work]:
        """A copy of the figures so far, by stage."""
        with self._lock:
            return {name.value: Work(**asdict(work)) for name, work in self._work.items()}

    def since(self, before: Mapping[str, Work]) -> dict[str, Work]:
        """The difference to an earlier ``work``; stages without any are left out."""
        now = {name: work.minus(before.get(name, Work())) for name, work in self.work.items()}
        return {name: work for name, work in now.items() if work != Work()}

    def _waited_for_input(self, name: Stage, seconds: float) -> None:
        self._add(name, for_input=seconds)

    def _handed_on(self, name: Stage, seconds: float) -> None:
        self._add(name, for_room=seconds, frames=1)

    def _add(
        self,
        name: Stage,
        *,
        busy: float = 0.0,
        for_input: float = 0.0,
        for_room: float = 0.0,
        frames: int = 0,
    ) -> None:
        with self._lock:
            work = self._work.setdefault(name, Work())
            work.busy += busy
            work.for_input += for_input
            work.for_room += for_room
            work.frames += frames
