"""Writes a session's frames to a file, complete or not at all, with a report beside it."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync.media.picture.writer import PictureWriter
from latentsync.media.writer import VideoWriter
from latentsync.pipeline.encoding import FrameFile, Writer, encode
from latentsync.pipeline.findings import plan_warnings
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.output import Output, check_output
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.provenance import Marks
from latentsync.pipeline.report import session_report, write_report
from latentsync.pipeline.stages.composite import Rendered
from latentsync.pipeline.unchanged import copy_video, first_change, from_the_start, may_be_copied

if TYPE_CHECKING:
    from latentsync.pipeline.session import Session

logger = logging.getLogger(__name__)


def write_video(
    session: Session, target: Path | Output, progress: Progress, *, command: str | None = None
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
    written = _written(session, output, plan, progress)
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
    the file does not keep of the source. marks: of the file.
    """

    outcomes: list[Outcome]
    marks: Marks
    copied: bool
    notes: list[str]


def _written(session: Session, output: Output, plan: RenderPlan, progress: Progress) -> _Written:
    outcomes = [Outcome.of(one) for one in plan.speakers]
    marks = Marks(output.provenance, session, plan, outcomes)
    written = _Written(outcomes, marks, False, [])
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
    result, comparison = outputs
    with ExitStack() as stack:
        files: list[FrameFile] = []
        for one in (result, comparison):
            if one is not None:
                writer = stack.enter_context(_writer(session, one, plan, written))
                files.append(FrameFile(writer, one.watermark, compares=one is comparison))
        encode(frames, files, [*written.outcomes, written.marks], session.timer, step)
    if result is not None:
        written.notes += files[0].writer.notes


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
