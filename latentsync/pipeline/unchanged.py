"""A video in which no pixel is changed keeps its video stream: copied, not encoded again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentsync.media.encoders import ENCODERS
from latentsync.media.picture.writer import copied_picture
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import AUTO, SOURCE
from latentsync.media.stream_copy import NotCopiedError, copied_video
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.stage_timer import Stage
from latentsync.pipeline.stages.composite import Rendered
from latentsync.settings.schema import OutputConfig

if TYPE_CHECKING:
    from latentsync.pipeline.output import Output
    from latentsync.pipeline.session import Session

logger = logging.getLogger(__name__)


def may_be_copied(session: Session, output: Output, plan: RenderPlan) -> bool:
    """Whether the source's video stream, or picture, can stand for the output's, if no pixel is
    changed.

    The output has to show each frame of a file once, in order, and the file to have been decoded
    without issues. An encoder or a pixel format that is asked for by name is not given up for it.
    """
    wanted = session.config.output.copy_unchanged and session.config.output.watermark is None
    if output.picture is not None:
        wanted &= output.picture.kind == session.source.info.format_name
    else:
        wanted &= is_as_asked(session.config.output, session.source.info)
    same = np.array_equal(plan.source, np.arange(len(plan.analysis)))
    return wanted and same and session.reads_file and not session.source.issues


def is_as_asked(asked: OutputConfig, source: VideoInfo) -> bool:
    """Whether the video has the codec and the pixel format that are named, if they are."""
    codec = asked.codec == AUTO or ENCODERS[asked.codec].codec == source.codec
    return codec and asked.pix_fmt in (SOURCE, source.pix_fmt.replace("yuvj", "yuv"))


def first_change(
    rendered: Generator[Rendered, None, None], last: int, step: Callable[[], None]
) -> Rendered | None:
    """Takes frames up to the first one of which a pixel was changed; None: there is none.

    last: the last one that may be changed. step: called for each frame before it.
    """
    try:
        for item in rendered:
            if item.index > last:
                break
            changes = (*item.generated.values(), *item.restored.values())
            if any(change.largest for change in changes):
                return item
            step()
    except BaseException:
        rendered.close()
        raise
    rendered.close()
    return None


def from_the_start(
    session: Session, first: Rendered, rest: Generator[Rendered, None, None]
) -> Iterator[Rendered]:
    """All frames, where first is the first that was changed: those before it are read again."""
    try:
        yield from session.as_filmed(first.index)
        yield first
        yield from rest
    finally:
        rest.close()


def copy_video(
    stack: ExitStack,
    session: Session,
    output: Output,
    plan: RenderPlan,
    progress: Progress,
    *,
    header: dict[str, str],
    finishers: Sequence[Callable[[Path], None]],
) -> tuple[bool, list[str]]:
    """Copies the source's video stream; the result is in place when the stack exits cleanly.

    header: the metadata of the file. finishers: get the complete file. Returns whether that was
    possible, and what is to be noted, a sentence each, which is logged.
    """
    if output.picture is not None:
        info = session.source.info
        stack.enter_context(copied_picture(output.target, info, finishers=finishers))
        logger.info("no pixel is changed: the picture was copied unchanged")
        return True, []
    with progress("copying", len(plan)) as step, session.timer.stage(Stage.COPY, frames=len(plan)):

        def packet() -> None:
            session.check()
            step()

        copy = copied_video(
            output.target,
            replace(session.source.info, file_metadata=header),
            output.settings,
            output.plan,
            seconds=plan.seconds,
            step=packet,
            end=plan.duration if session.speaks else None,
            finishers=finishers,
        )
        try:
            notes = stack.enter_context(copy)
        except NotCopiedError as error:
            notes = [f"no pixel is changed, yet the video stream is encoded again: {error}"]
            logger.warning(notes[0])
            return False, notes
    for note in notes:
        logger.warning(note)
    logger.info("no pixel is changed: the video stream was copied unchanged")
    return True, notes
