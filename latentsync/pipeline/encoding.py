"""Encodes finished frames: one stage composites, one converts, one encodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered, side_by_side
from latentsync.pipeline.watermark import Watermark
from latentsync.types import Box, Frame

WRITE_BEHIND = 2  # finished frames queued for conversion, and as many for the encoder


class Writer(Protocol):
    """What videos and pictures are written by."""

    notes: list[str]

    def convert(self, frame: Frame, *, roi: Box | None = None) -> Any: ...

    def write_converted(self, converted: Any) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class FrameFile:
    """One of the files that are encoded. compares: it shows before | after."""

    writer: Writer
    watermark: Watermark | None
    compares: bool

    def picture(self, item: Rendered) -> Any:
        if self.compares:
            return self.writer.convert(side_by_side(item.before, item.after))
        after = item.after if self.watermark is None else self.watermark(item.after)
        return self.writer.convert(after, roi=item.changed)


class Watching(Protocol):
    """Gets every finished frame, in order."""

    def add(self, item: Rendered) -> None: ...


def encode(
    frames: Iterable[Rendered],
    files: Sequence[FrameFile],
    watching: Sequence[Watching],
    timer: StageTimer,
    step: Callable[[], None],
    *,
    observers: Sequence[Watching] = (),
) -> None:
    """Writes the frames into all files. watching: get what changed in each, observers the frames;
    only the time of these counts as their own. step: called for each frame."""
    pictures = _pictures(frames, files, watching, observers, timer)
    linked_pictures = linked(pictures, Stage.CONVERT, Stage.ENCODE, WRITE_BEHIND, timer=timer)
    with closing(linked_pictures) as queue:
        for shown in queue:
            with timer.stage(Stage.ENCODE, frames=1):
                for file, picture in zip(files, shown, strict=True):
                    file.writer.write_converted(picture)
            step()


def _pictures(
    frames: Iterable[Rendered],
    files: Sequence[FrameFile],
    watching: Sequence[Watching],
    observers: Sequence[Watching],
    timer: StageTimer,
) -> Iterator[list[Any]]:
    """The converted frame for each file. watching: get what changed in each frame."""
    # Linked here, where nothing else holds it, so that the stages before end when this does.
    for item in linked(frames, Stage.COMPOSITE, Stage.CONVERT, WRITE_BEHIND, timer=timer):
        with timer.stage(Stage.CONVERT):
            pictures = [file.picture(item) for file in files]
            for one in watching:
                one.add(item)
        for observer in observers:
            observer.add(item)
        yield pictures
