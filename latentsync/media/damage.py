"""What went wrong while a film was read, kept short enough for one line."""

from __future__ import annotations

from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

_DURATION_UP_FRONT = {"matroska,webm", "avi"}
_ROUNDING = Fraction(1, 4)  # seconds
_FRAMES_TO_KNOW_THE_PACE = 5
_UNEVEN = 0.25  # of a frame: what Matroska's milliseconds make of 120 fps stays below it


class Damage:
    """Counts each kind of fault and remembers where it was first met."""

    def __init__(self) -> None:
        self._faults: dict[str, tuple[int, float | None]] = {}

    def note(self, fault: str, second: float | None) -> None:
        """second: where in the film; None before its first frame."""
        count, first = self._faults.get(fault, (0, second))
        self._faults[fault] = (count + 1, first)

    def __str__(self) -> str:
        return "; ".join(_sentence(fault, *where) for fault, where in self._faults.items())


def _sentence(fault: str, count: int, second: float | None) -> str:
    where = "at its start" if second is None else f"at {second:.2f} s"
    return f"{fault} {where}" if count == 1 else f"{fault}, {count} times, first {where}"


class Pace:
    """Notices frames that are missing within a film of steady pace; nothing else would tell.

    The pace is taken from the film itself: the rate that a container states may be that of fields.
    An MP4 lists its frames, so that a pause in it is meant, and a film that has changed its pace
    once may do so again: for both, no gap is ever reported.
    """

    def __init__(self, container: InputContainer) -> None:
        self._steady = "mp4" not in container.format.name
        self._first = self._latest = 0.0
        self._frames = 0

    def missing(self, second: float) -> int:
        """Frames that seem to be missing between the previous one and this; second: rising."""
        if self._frames == 0:
            self._first = second
        missing = self._skipped(second) if self._frames > _FRAMES_TO_KNOW_THE_PACE else 0
        self._frames += 1 + missing
        self._latest = second
        return missing

    def _skipped(self, second: float) -> int:
        pace = (self._latest - self._first) / (self._frames - 1)
        steps = (second - self._latest) / pace
        self._steady &= round(steps) >= 1 and abs(steps - round(steps)) < _UNEVEN
        return round(steps) - 1 if self._steady else 0


def missing_end(container: InputContainer, stream: VideoStream, end: Fraction) -> str:
    """What the file promises beyond the end [seconds] that was reached; "" if nothing is missing.

    MP4 lists every frame with its place in the file, which is exact. Matroska and AVI state their
    duration up front; a shortfall that rounding explains does not count. Others promise nothing.
    """
    if "mp4" in container.format.name:
        lost = sum(1 for entry in stream.index_entries if entry.pos + entry.size > container.size)
        return f"{lost} frames of its index lie behind its last byte" if lost else ""
    if container.format.name not in _DURATION_UP_FRONT or not container.duration:
        return ""
    promised = Fraction(container.duration, av.time_base)
    return f"its header promises {float(promised):.2f} s" if promised - end > _ROUNDING else ""
