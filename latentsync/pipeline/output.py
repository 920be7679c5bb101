"""A session's frames to a file: checked first, complete or not there at all, a report beside it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsync.errors import ConfigError
from latentsync.media.files import check_free
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import EncodeSettings, NewAudio
from latentsync.media.target import OutputPlan, check_target
from latentsync.media.writer import Picture, VideoWriter
from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.progress import Progress
from latentsync.pipeline.report import is_report, session_report, write_report
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered, side_by_side
from latentsync.settings.schema import Config

if TYPE_CHECKING:
    from latentsync.pipeline.session import Session

logger = logging.getLogger(__name__)

TAKEN = {
    "largest": "the largest face",
    "left": "the leftmost face",
    "right": "the rightmost face",
}
"""By face.select, who that is."""

WRITE_BEHIND = 2  # finished frames that may wait, twice: to be converted, and to be encoded


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A file that can be written. size: (width, height) of its frames. audio: sound that takes the
    place of the source's. plan: what was found out about it. comparison: the file beside it that
    shows before | after."""

    target: Path
    settings: EncodeSettings
    size: tuple[int, int]
    audio: NewAudio | None
    plan: OutputPlan
    comparison: Output | None = None

    @property
    def report_path(self) -> Path:
        return self.target.with_suffix(".report.json")


def check_output(config: Config, source: VideoInfo, target: Path, audio: Path | None) -> Output:
    """Raises ConfigError and MediaError where one of the files cannot be written, or would replace
    what is there unasked."""
    size = source.width, source.height
    output = _checked(config, source, target, audio, size)
    if config.output.compare:
        beside = target.with_name(f"{target.stem}_compare{target.suffix}")
        comparison = _checked(config, source, beside, audio, (2 * source.width, source.height))
        output = replace(output, comparison=comparison)
    report = output.report_path
    if config.output.report and report.exists() and not is_report(report):
        remedy = "move it away, or leave the report out with output.report=false"
        raise ConfigError("not a report, so not replaced by one", report, remedy)
    return output


def _checked(
    config: Config, source: VideoInfo, target: Path, audio: Path | None, size: tuple[int, int]
) -> Output:
    own = config.output
    settings = EncodeSettings(
        own.codec,
        own.crf,
        own.preset,
        own.pix_fmt,
        finer=own.finer_mouth,
        audio=own.audio_codec,
    )
    sound = None if audio is None else NewAudio(audio)
    plan = check_target(target, source, settings, sound, size=size)
    check_free(target, overwrite=own.overwrite)
    return Output(target, settings, size, sound, plan)


def write_video(session: Session, target: Path | Output, progress: Progress) -> dict[str, Any]:
    """See Session.render."""
    begin, before = time.perf_counter(), session.timer.work
    config, source = session.config, session.source
    output = (
        check_output(config, source.info, target, session.audio)
        if isinstance(target, Path)
        else target
    )
    plan = session.make_plan(progress)
    warnings = _say_what_was_found(session, plan)
    title = "restoring" if session.audio is None else "generating"
    with progress(title, len(plan)) as step:
        restored, notes = _write(session, output, plan, step)
    if plan.strength.any() and not restored.any():
        notes = [*notes, "nothing to gain: the restoration changed no pixel of the selected frames"]
        logger.warning(notes[-1])
    report = session_report(
        session,
        output,
        restored=restored,
        seconds=time.perf_counter() - begin,
        work=session.timer.since(before),
        warnings=[*warnings, *notes],
    )
    if config.output.report:
        write_report(report, output.report_path)
    return report


def _write(
    session: Session, output: Output, plan: RenderPlan, step: Callable[[], None]
) -> tuple[np.ndarray, list[str]]:
    """-> (N,) int: by how many code values the restoration changed each frame that was written; and
    what the file does not keep of the source."""
    timer, restored = session.timer, []
    with ExitStack() as stack:
        writers = [
            stack.enter_context(_writer(session, one, plan))
            for one in (output, output.comparison)
            if one is not None
        ]
        pictures = _pictures(session.rendered(), writers, timer)
        queue = stack.enter_context(
            closing(linked(pictures, Stage.CONVERT, Stage.ENCODE, WRITE_BEHIND, timer=timer))
        )
        for shown, change in queue:
            with timer.stage(Stage.ENCODE, frames=1):
                for writer, picture in zip(writers, shown, strict=True):
                    writer.write_picture(picture)
            restored.append(change)
            step()
    return np.array(restored), writers[0].notes


def _writer(session: Session, output: Output, plan: RenderPlan) -> VideoWriter:
    info, audio = session.source.info, output.audio
    if audio is not None:
        info = replace(info, average_rate=plan.rate, time_base=plan.time_base)
        audio = replace(audio, seconds=plan.duration)
    return VideoWriter(
        output.target, info, output.settings, size=output.size, audio=audio, plan=output.plan
    )


def _pictures(
    frames: Iterable[Rendered], writers: Sequence[VideoWriter], timer: StageTimer
) -> Iterator[tuple[list[Picture], int]]:
    """What is written of each frame, and by how much the restoration changed it.

    writers: of the result, and of before | after if that is wanted.
    """
    # Linked here, and held by nobody else, so that the stages before end when this does.
    for item in linked(frames, Stage.COMPOSITE, Stage.CONVERT, WRITE_BEHIND, timer=timer):
        with timer.stage(Stage.CONVERT):
            pictures = [writers[0].picture(item.after, finer=item.changed)]
            pictures += [
                other.picture(side_by_side(item.before, item.after)) for other in writers[1:]
            ]
        yield pictures, item.restored


def _who_was_taken(config: Config, people: np.ndarray) -> list[str]:
    """people: (F,) int, faces seen in each frame. -> A sentence where they were several."""
    most, several = int(people.max(initial=0)), int((people > 1).sum())
    if not several:
        return []
    least = "at least " if most >= config.face.max_faces else ""
    seen = (
        f"{least}{most} people were seen at once ({several} of {len(people)} frames show several)"
    )
    if config.as_upstream:
        return [f"{seen}; the largest face of each frame was taken (compat={config.compat})"]
    taken = TAKEN[config.face.select]
    others = " or ".join(name for name in TAKEN if name != config.face.select)
    return [f"{seen}; {taken} of each shot was taken: face.select={others} takes another"]


def _say_what_was_found(session: Session, plan: RenderPlan) -> list[str]:
    source, warnings = session.source, []
    if source.issues:
        warnings.append(f"{source.info.path}: {source.issues}")
    if source.info.dropped:
        warnings.append(f"not carried over: {', '.join(source.info.dropped)}")
    faceless = int((plan.analysis.tracks < 0).sum())
    if faceless:
        total = len(plan.analysis)
        warnings.append(f"{faceless} of {total} frames without a face stay as they are")
    warnings += _who_was_taken(session.config, plan.analysis.people)
    if session.audio is None and not plan.strength.any():
        warnings.append("no frame needs restoration; restore.when=always restores regardless")
    for warning in warnings:
        logger.warning(warning)
    return warnings
