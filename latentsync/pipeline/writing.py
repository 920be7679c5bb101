"""Writes a session's frames to a file, complete or not at all, with a report beside it."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from latentsync.media.picture.writer import PictureWriter
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import NewAudio
from latentsync.media.writer import VideoWriter
from latentsync.pipeline.encoding import FrameFile, Writer, encode
from latentsync.pipeline.findings import plan_warnings
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.output import Output, check_output
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.provenance import Marks
from latentsync.pipeline.report import session_report, write_report
from latentsync.pipeline.stage_timer import StageTimer, Work, added
from latentsync.pipeline.stages.composite import Rendered
from latentsync.pipeline.unchanged import copy_video, first_change, from_the_start, may_be_copied

if TYPE_CHECKING:
    from latentsync.pipeline.session import Session

WriteFrames = Callable[["Session", Output, RenderPlan, "Written", Progress], None]

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Looks at the frames of a job, before they are encoded."""

    def begin(self, plan: RenderPlan, timer: StageTimer) -> None:
        """Called once, before the first frame."""

    def add(self, item: Rendered) -> None:
        """item: a finished frame; in order, each once."""

    def finish(self) -> None:
        """Called once, after the last frame was encoded; not after an error."""


def write_video(
    session: Session,
    target: Path | Output,
    progress: Progress,
    *,
    command: str | None = None,
    observers: Sequence[Observer] = (),
    write: WriteFrames | None = None,
) -> dict[str, Any]:
    """See Session.render. write: writes the frames of the plan to the files, and nothing else;
    None: in one go."""
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
    outcomes = [Outcome.of(one) for one in plan.speakers]
    marks = Marks(output.provenance, session, plan, outcomes)
    written = Written(outcomes, marks, plan_warnings(session, plan), observers)
    for one in observers:
        one.begin(plan, session.timer)
    (write or written_in_one)(session, output, plan, written, progress)
    for one in observers:
        one.finish()
    _say_nothing_changed(session, plan, written)
    report = session_report(
        session,
        output,
        outcomes=written.outcomes,
        copied=written.copied,
        seconds=time.perf_counter() - begin + written.earlier_seconds,
        work=added(session.timer.since(before), written.earlier_work),
        warnings=[*notes, *written.warnings, *poor_fits(written.outcomes), *written.notes],
        provenance=written.marks.report(),
        command=command,
        decided=written.decided,
    )
    if config.output.report:
        write_report(report, output.report_path)
    return report


def poor_fits(outcomes: Sequence[Outcome]) -> list[str]:
    results = {n: fit for one in outcomes for n, fit in one.fit.items()}
    return [f"track {n}: {fit['reason']}" for n, fit in results.items() if fit.get("poor_fit")]


@dataclass(slots=True, eq=False)
class Written:
    """The result for a plan's N frames.

    outcomes: of each speaker. marks: of the file. warnings: of the plan, a sentence each.
    observers: get each frame. copied: whether the source's video stream was copied. notes: what the
    file does not keep of the source. earlier_work, earlier_seconds: of runs before this one.
    decided: by the session that made the plan, see report.decisions; None: this one. finishers:
    what is done last to each complete file, before it gets its name.
    """

    outcomes: list[Outcome]
    marks: Marks
    warnings: list[str]
    observers: Sequence[Observer] = ()
    copied: bool = False
    notes: list[str] = field(default_factory=list)
    earlier_work: dict[str, Work] = field(default_factory=dict)
    earlier_seconds: float = 0.0
    decided: dict[str, Any] | None = None
    finishers: list[Callable[[Path], None]] = field(default_factory=list)


def copied(
    stack: ExitStack,
    session: Session,
    output: Output,
    plan: RenderPlan,
    written: Written,
    progress: Progress,
) -> bool:
    """Copies the source's video stream; returns whether that was possible."""
    marks, sign = written.marks, output.provenance.identity is not None
    finishers = [*marks.finishers(sign=sign, copied=True), *written.finishers]
    done, notes = copy_video(
        stack, session, output, plan, progress, header=marks.header, finishers=finishers
    )
    written.copied, written.notes = done, [*written.notes, *notes]
    return done


def _say_nothing_changed(session: Session, plan: RenderPlan, written: Written) -> None:
    selected = any(one.strength.any() for one in plan.speakers)
    if not selected or any(one.largest.any() for one in written.outcomes):
        return
    nothing = "the restoration changed no pixel of the selected frames"
    if session.config.restore.name.lower() == "detail":
        nothing += (
            "; Detail found no blur to undo in these mouths. A video that is blurry as a "
            "whole needs --superres GFPGAN with restore.region=face"
        )
    logger.warning(nothing)
    written.notes.append(nothing)


def written_in_one(
    session: Session, output: Output, plan: RenderPlan, written: Written, progress: Progress
) -> None:
    with ExitStack() as stack:

        def copy() -> bool:
            return copied(stack, session, output, plan, written, progress)

        _write(session, output, plan, written, progress, copy)
    for outcome, lane in zip(written.outcomes, session.lanes, strict=True):
        outcome.note_restorers(lane, copied=written.copied)


def _write(
    session: Session,
    output: Output,
    plan: RenderPlan,
    written: Written,
    progress: Progress,
    copy: Callable[[], bool],
) -> None:
    """Writes the result and its comparison. copy: copies the source's video stream for the result,
    and returns whether that was possible."""
    title = "generating" if session.speaks else "restoring"
    may_change = np.flatnonzero(plan.changes)
    may_copy, changed = may_be_copied(session, output, plan), bool(len(may_change))
    if may_copy and changed and not any(one.generates for one in plan.speakers):
        start, last = int(may_change[0]), int(may_change[-1])
        ahead = session.rendered(start)
        with progress(title, len(plan)) as step:
            first = first_change(ahead, last, step)
            if first is not None:
                frames = from_the_start(session, first, ahead)
                step = _after(first.index - start, step)
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
    written: Written,
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
        watching: list[Outcome | Marks] = [*written.outcomes, written.marks]
        encode(frames, files, watching, session.timer, step, observers=written.observers)
    if result is not None:
        written.notes += files[0].writer.notes


def _writer(
    session: Session, output: Output, plan: RenderPlan, written: Written
) -> AbstractContextManager[Writer]:
    marks = written.marks
    info = replace(shown_info(session, output, plan), file_metadata=marks.header)
    sign = output.provenance.identity is not None
    finishers = [*marks.finishers(sign=sign), *written.finishers]
    if output.picture is not None:
        return PictureWriter(
            output.target,
            info,
            output.picture,
            notes=output.plan.notes,
            mark=marks.packet,
            finishers=finishers,
        )
    return VideoWriter(
        output.target,
        info,
        output.settings,
        size=output.size,
        audio=audio_of(output, plan),
        plan=output.plan,
        finishers=finishers,
    )


def shown_info(session: Session, output: Output, plan: RenderPlan) -> VideoInfo:
    """What is known of the source, with the output's frame rate and time base."""
    info = session.source.info
    if output.audio is None:
        return info
    return replace(info, average_rate=plan.rate, time_base=plan.time_base)


def audio_of(output: Output, plan: RenderPlan) -> NewAudio | None:
    """The new audio, as long as the output."""
    if output.audio is None:
        return None
    return replace(output.audio, seconds=plan.duration, stretch=plan.stretch)
