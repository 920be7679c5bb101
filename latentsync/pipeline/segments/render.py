"""Writes a video segment by segment, and joins them: a run that was stopped goes on from there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from latentsync.media.joining import join_segments
from latentsync.media.segment_file import Segment, SegmentWriter
from latentsync.pipeline.encoding import FrameFile, encode
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.provenance import Marks
from latentsync.pipeline.report import decisions
from latentsync.pipeline.segments.borders import SECONDS, segment_borders
from latentsync.pipeline.segments.finishing import Finishing, sweep
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from latentsync.pipeline.segments.identity import identity_of
from latentsync.pipeline.session import Session
from latentsync.pipeline.stage_timer import Stage, added
from latentsync.pipeline.unchanged import may_be_copied
from latentsync.pipeline.writing import Written, audio_of, copied, shown_info, written_in_one
from latentsync.runtime.memory import return_freed_memory

if TYPE_CHECKING:
    from latentsync.pipeline.engine import Engine
    from latentsync.pipeline.job import Job
    from latentsync.pipeline.output import Output

logger = logging.getLogger(__name__)


def render_resumable(
    engine: Engine,
    job: Job,
    progress: Progress,
    *,
    command: str | None = None,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Renders a job in segments. What an earlier run of the same work has made is used; what this
    one makes is kept until the file is complete. Returns the report.

    Raises as Session.render does, and MediaError where another run works on the same output.
    """
    folder = SegmentFolder(folder_of(job.output.target), identity_of(job, engine))
    with (
        folder.held(),
        Session(
            engine, job.source, audio=job.audio, plan=folder.open(), config=job.config
        ) as session,
    ):
        write = InSegments(folder, seconds)
        report = session.render(job.output, progress, command=command, write=write)
        Finishing(folder.path).complete()
        folder.remove()
        return report


def divides(output: Output, plan: RenderPlan) -> bool:
    """Whether there is anything to divide: a video, and frames that may change."""
    return output.picture is None and bool(plan.changes.any())


class InSegments:
    """For Session.render: writes the frames of a video in segments, which stay when it is complete.

    folder: opened; the session has its plan, where there is one. seconds: length of a segment.
    """

    def __init__(self, folder: SegmentFolder, seconds: float = SECONDS) -> None:
        self._folder, self._seconds = folder, seconds
        self._made: set[int] = set()

    def __call__(
        self,
        session: Session,
        output: Output,
        plan: RenderPlan,
        written: Written,
        progress: Progress,
    ) -> None:
        folder = self._folder
        outputs = [one for one in (output, output.comparison) if one is not None]
        sweep([*(one.target for one in outputs), output.report_path])
        written.finishers.append(Finishing(folder.path).note)
        if not divides(output, plan):
            written_in_one(session, output, plan, written, progress)
            return
        self.begin(session, plan, written.warnings)
        written.decided = folder.decided
        written.warnings = written.decided["warnings"]
        files = self._rendered(session, output, plan, written, progress)
        results, comparisons = ([one[n] for one in files if len(one) > n] for n in (0, 1))
        with ExitStack() as stack:
            unchanged = not any(
                (one.generated | (one.largest > 0)).any() for one in written.outcomes
            )
            done = (
                unchanged
                and not written.decided["issues"]
                and may_be_copied(session, output, plan)
                and copied(stack, session, output, plan, written, progress)
            )
            if not done:
                notes = self._join(session, output, plan, results, written, progress)
                written.notes += notes
            if output.comparison is not None:
                self._join(session, output.comparison, plan, comparisons, written, progress)

    def begin(
        self, session: Session, plan: RenderPlan, warnings: Sequence[str]
    ) -> list[tuple[int, int]]:
        """Keeps the plan, unless it was kept before. Returns the borders of the segments.

        warnings: of the plan, a sentence each.
        """
        if not self._folder.begun:
            more = {"warnings": list(warnings), "issues": session.source.issues}
            decided = {**decisions(session), **more}
            self._folder.begin(plan, segment_borders(plan, self._seconds), decided)
        return self._folder.borders

    def _rendered(
        self,
        session: Session,
        output: Output,
        plan: RenderPlan,
        written: Written,
        progress: Progress,
    ) -> list[list[Segment]]:
        """Of each segment its file of each output; those that are not there are made."""
        files: list[list[Segment]] = []
        borders = self._folder.borders
        title = "generating" if session.speaks else "restoring"
        with progress(title, len(plan)) as step:
            for number, (first, after) in enumerate(borders):
                kept = self._folder.kept(number, written.outcomes, written.marks)
                if kept is None:
                    self.make(session, output, plan, number, step)
                    made_now = self._folder.kept(number, written.outcomes, written.marks)
                    assert made_now is not None
                    files.append(made_now.segments)
                    continue
                files.append(kept.segments)
                written.earlier_work = added(written.earlier_work, kept.work)
                written.earlier_seconds += kept.seconds
                for _ in range(first, after):
                    step()
        if len(self._made) < len(borders):
            there = len(borders) - len(self._made)
            logger.info("%d of %d segments were there from before", there, len(borders))
        return files

    def make(
        self,
        session: Session,
        output: Output,
        plan: RenderPlan,
        number: int,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        """Renders and keeps one segment. step: called for each frame."""
        return_freed_memory()  # else each segment of 1080p takes 1 to 2 MB more than the last
        begin, before = time.perf_counter(), session.timer.work
        outcomes = [Outcome.of(one) for one in plan.speakers]
        marks = Marks(output.provenance, session, plan, outcomes)
        first, after = self._folder.borders[number]
        outputs = [one for one in (output, output.comparison) if one is not None]
        with ExitStack() as stack:
            writers = [
                stack.enter_context(self._writer(session, one, plan, number, n))
                for n, one in enumerate(outputs)
            ]
            files = [
                FrameFile(writer, one.watermark, compares=n > 0)
                for n, (writer, one) in enumerate(zip(writers, outputs, strict=True))
            ]
            frames = session.rendered(first, after)
            encode(frames, files, [*outcomes, marks], session.timer, step)
        for outcome, lane in zip(outcomes, session.lanes, strict=True):
            outcome.note_restorers(lane)
        segments = [one.segment for one in writers if one.segment is not None]
        seconds, work = time.perf_counter() - begin, session.timer.since(before)
        self._folder.keep(number, segments, outcomes, marks, work, seconds)
        self._made.add(number)

    def _writer(
        self, session: Session, output: Output, plan: RenderPlan, number: int, n: int
    ) -> SegmentWriter:
        info = shown_info(session, output, plan)
        target = self._folder.file(number, n)
        return SegmentWriter(target, info, output.settings, size=output.size)

    def _join(
        self,
        session: Session,
        output: Output,
        plan: RenderPlan,
        segments: Sequence[Segment],
        written: Written,
        progress: Progress,
    ) -> list[str]:
        """Returns what the file does not keep of the source, which is logged."""
        marks, sign = written.marks, output.provenance.identity is not None
        info = replace(shown_info(session, output, plan), file_metadata=marks.header)
        with (
            progress("joining", len(plan)) as step,
            session.timer.stage(Stage.JOIN, frames=len(plan)),
        ):

            def frame() -> None:
                session.check()
                step()

            notes = join_segments(
                output.target,
                info,
                segments,
                plan.pts,
                size=output.size,
                plan=output.plan,
                audio=audio_of(output, plan),
                finishers=[*marks.finishers(sign=sign), *written.finishers],
                step=frame,
            )
        for note in notes:
            logger.warning(note)
        return notes
