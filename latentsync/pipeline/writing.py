"""Writes a session's frames to a file, complete or not at all, with a report beside it."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from latentsync.media.picture.writer import PictureWriter
from latentsync.media.writer import VideoWriter
from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.findings import plan_warnings
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.output import Output, check_output
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.provenance import Marks
from latentsync.pipeline.report import session_report, write_report
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered, side_by_side
from latentsync.pipeline.unchanged import copy_video, first_change, from_the_start, may_be_copied
from latentsync.pipeline.watermark import Watermark
from latentsync.types import Box, Frame

if TYPE_CHECKING:
    from latentsync.pipeline.session import Session

logger = logging.getLogger(__name__)

WRITE_BEHIND = 2  # finished frames queued for conversion, and as many for the encoder


class Observer(Protocol):
    """Looks at the frames of a job, before they are encoded."""

    def begin(self, plan: RenderPlan, timer: StageTimer) -> None:
        """Called once, before the first frame."""
        ...

    def add(self, item: Rendered) -> None:
        """item: a finished frame; in order, each once."""
        ...

    def finish(self) -> None:
        """Called once, after the last frame was encoded; not after an error."""
        ...


def write_video(
    session: Session,
    target: Path | Output,
    progress: Progress,
    *,
    command: str | None = None,
    observers: Sequence[Observer] = (),
) -> dict[str, Any]:
    """See Session.render."""
    begin, before = time.perf_counter(), session.timer.work
    config, source = session.config, session.source
    output = (
        check_output(config, source.info, target, session.audio)
        if isinstance(target, Path)
        else target
    )
    for note in output.provenance.notes:
        logger.warning(note)
    plan = session.make_plan(progress)
    notes = [*filter(None, [output.plan.carried]), *output.provenance.notes]
    warnings = plan_warnings(session, plan)
    for one in observers:
        one.begin(plan, session.timer)
    written = _written(session, output, plan, progress, observers)
    for one in observers:
        one.finish()
    report = session_report(
        session,
        output,
        outcomes=written.outcomes,
        copied=written.copied,
        seconds=time.perf_counter() - begin,
        work=session.timer.since(before),
        warnings=[*notes, *warnings, *_poor_fits(session), *written.notes],
        provenance=written.marks.report(),
        command=command,
    )
    if config.output.report:
        write_report(report, output.report_path)
    return report


def _poor_fits(session: Session) -> list[str]:
    ready = [lane.restorers for lane in session.lanes if lane.restorers is not None]
    results = {n: fit for one in ready for n, fit in one.fit_results.items()}
    return [f"track {n}: {fit['reason']}" for n, fit in results.items() if fit.get("poor_fit")]


@dataclass(slots=True, eq=False)
class _Written:
    """The result for a plan's N frames.

    outcomes: of each speaker. copied: whether the source's video stream was copied. notes: what
    the file does not keep of the source. marks: of the file. observers: get each frame.
    """

    outcomes: list[Outcome]
    marks: Marks
    copied: bool
    notes: list[str]
    observers: Sequence[Observer]


def _written(
    session: Session,
    output: Output,
    plan: RenderPlan,
    progress: Progress,
    observers: Sequence[Observer],
) -> _Written:
    outcomes = [Outcome.of(one) for one in plan.speakers]
    marks = Marks(output.provenance, session, plan, outcomes)
    written = _Written(outcomes, marks, False, [], observers)
    with ExitStack() as stack:

        def copy() -> bool:
            sign = output.provenance.identity is not None
            finishers = marks.finishers(sign=sign, copied=True)
            done, notes = copy_video(
                stack, session, output, plan, progress, header=marks.header, finishers=finishers
            )
            written.copied, written.notes = done, [*written.notes, *notes]
            return done

        _write(session, output, plan, written, progress, copy)
    selected = any(one.strength.any() for one in plan.speakers)
    if selected and not any(one.largest.any() for one in written.outcomes):
        nothing = "the restoration changed no pixel of the selected frames"
        if session.config.restore.name.lower() == "detail":
            nothing += (
                "; Detail found no blur to undo in these mouths. A video that is blurry as a "
                "whole needs --superres GFPGAN with restore.region=face"
            )
        logger.warning(nothing)
        written.notes.append(nothing)
    return written


def _write(
    session: Session,
    output: Output,
    plan: RenderPlan,
    written: _Written,
    progress: Progress,
    copy: Callable[[], bool],
) -> None:
    """Writes the result and its comparison. copy: copies the source's video stream for the result,
    and returns whether that was possible."""
    title = "generating" if session.speaks else "restoring"
    may_copy, changed = may_be_copied(session, output, plan), bool(plan.changes.any())
    if may_copy and changed and not any(one.generates for one in plan.speakers):
        ahead = session.rendered()
        with progress(title, len(plan)) as step:
            first = first_change(ahead, step)
            if first is not None:
                frames = from_the_start(session, first, ahead)
                step = _after(first.index, step)
                _encode(session, frames, (output, output.comparison), plan, written, step)
                return
        changed = False
    result = None if may_copy and not changed and copy() else output
    if result is not None or output.comparison is not None:
        frames = session.rendered() if changed else session.as_filmed(len(plan))
        with progress(title, len(plan)) as step:
            _encode(session, frames, (result, output.comparison), plan, written, step)


def _after(count: int, step: Callable[[], None]) -> Callable[[], None]:
    """The step, but for its first calls."""
    calls = itertools.count()
    return lambda: step() if next(calls) >= count else None


def _encode(
    session: Session,
    frames: Iterable[Rendered],
    outputs: tuple[Output | None, Output | None],
    plan: RenderPlan,
    written: _Written,
    step: Callable[[], None],
) -> None:
    """Writes all frames of the plan into the result and the comparison, where they are given."""
    timer, (result, comparison) = session.timer, outputs
    with ExitStack() as stack:
        files: list[_File] = []
        for one in (result, comparison):
            if one is not None:
                writer = stack.enter_context(_writer(session, one, plan, written))
                files.append(_File(writer, one.watermark, compares=one is comparison))
        seen: list[Outcome | Marks] = [*written.outcomes, written.marks]
        pictures = _pictures(frames, files, seen, written.observers, timer)
        queue = stack.enter_context(
            closing(linked(pictures, Stage.CONVERT, Stage.ENCODE, WRITE_BEHIND, timer=timer))
        )
        for shown in queue:
            with timer.stage(Stage.ENCODE, frames=1):
                for file, picture in zip(files, shown, strict=True):
                    file.writer.write_converted(picture)
            step()
    if result is not None:
        written.notes += files[0].writer.notes


class Writer(Protocol):
    """What videos and pictures are written by."""

    notes: list[str]

    def convert(self, frame: Frame, *, roi: Box | None = None) -> Any: ...

    def write_converted(self, converted: Any) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """One of the files that are encoded. compares: it shows before | after."""

    writer: Writer
    watermark: Watermark | None
    compares: bool

    def picture(self, item: Rendered) -> Any:
        if self.compares:
            return self.writer.convert(side_by_side(item.before, item.after))
        after = item.after if self.watermark is None else self.watermark(item.after)
        return self.writer.convert(after, roi=item.changed)


def _writer(
    session: Session, output: Output, plan: RenderPlan, written: _Written
) -> AbstractContextManager[Writer]:
    marks, audio = written.marks, output.audio
    info = replace(session.source.info, file_metadata=marks.header)
    finishers = marks.finishers(sign=output.provenance.identity is not None)
    if output.picture is not None:
        return PictureWriter(
            output.target,
            info,
            output.picture,
            notes=output.plan.notes,
            mark=marks.packet,
            finishers=finishers,
        )
    if audio is not None:
        info = replace(info, average_rate=plan.rate, time_base=plan.time_base)
        audio = replace(audio, seconds=plan.duration, stretch=plan.stretch)
    return VideoWriter(
        output.target,
        info,
        output.settings,
        size=output.size,
        audio=audio,
        plan=output.plan,
        finishers=finishers,
    )


def _pictures(
    frames: Iterable[Rendered],
    files: Sequence[_File],
    seen: Sequence[Outcome | Marks],
    observers: Sequence[Observer],
    timer: StageTimer,
) -> Iterator[list[Any]]:
    """The converted frame for each file. seen: get what changed in each frame."""
    # Linked here, where nothing else holds it, so that the stages before end when this does.
    for item in linked(frames, Stage.COMPOSITE, Stage.CONVERT, WRITE_BEHIND, timer=timer):
        with timer.stage(Stage.CONVERT):
            pictures = [file.picture(item) for file in files]
            for one in seen:
                one.add(item)
        for observer in observers:
            observer.add(item)
        yield pictures
