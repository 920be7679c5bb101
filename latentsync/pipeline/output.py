"""A file that can be written: its name, its streams and its settings, checked before any work."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from latentsync.errors import ConfigError
from latentsync.media.files import check_free
from latentsync.media.picture.coding import PictureSettings
from latentsync.media.picture.kinds import compared
from latentsync.media.picture.still import check_picture, check_video_name, spoken_notes
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import EncodeSettings, NewAudio
from latentsync.media.target import OutputPlan, check_target
from latentsync.pipeline.provenance import Provenance, provenance_of
from latentsync.pipeline.report import is_report, report_beside
from latentsync.pipeline.watermark import Watermark, load_watermark
from latentsync.settings.schema import Config

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """A file that can be written. size: (width, height) of its frames. audio: replaces the
    source's. plan: its streams and container, checked. provenance: its marks. watermark: of its
    frames. comparison: the file beside it that shows before | after. picture: how it is encoded if
    it is a still picture."""

    target: Path
    settings: EncodeSettings
    size: tuple[int, int]
    audio: NewAudio | None
    plan: OutputPlan
    provenance: Provenance
    watermark: Watermark | None = None
    comparison: Output | None = None
    picture: PictureSettings | None = None

    @property
    def report_path(self) -> Path:
        return report_beside(self.target)


def check_output(config: Config, source: VideoInfo, target: Path, audio: Path | None) -> Output:
    """Raises ConfigError and MediaError where one of the files cannot be written, or exists and
    output.overwrite is off."""
    size = source.width, source.height
    marks = provenance_of(config, source, target)
    output = _checked(config, source, target, audio, size, marks)
    output = replace(output, watermark=load_watermark(config.output))
    if output.plan.carried:
        logger.warning(output.plan.carried)
    if config.output.compare:
        wide, unsigned = (2 * source.width, source.height), replace(marks, identity=None)
        comparison = _checked(config, source, compared(target), audio, wide, unsigned)
        output = replace(output, comparison=comparison)
    report = output.report_path
    if config.output.report and report.exists() and not is_report(report):
        remedy = "move it away, or leave the report out with output.report=false"
        raise ConfigError("not a report, so not replaced by one", report, remedy)
    return output


def _checked(
    config: Config,
    source: VideoInfo,
    target: Path,
    audio: Path | None,
    size: tuple[int, int],
    marks: Provenance,
) -> Output:
    given = config.output
    settings = EncodeSettings(
        *(given.codec, given.crf, given.preset, given.pix_fmt),
        roi_offset=given.finer_mouth,
        audio=given.audio_codec,
    )
    if source.picture is not None and audio is None:
        quality = None if given.quality == "auto" else int(given.quality)
        picture, notes = check_picture(target, source, quality=quality, size=size)
        check_free(target, overwrite=given.overwrite)
        plan = OutputPlan((), settings, notes)
        return Output(target, settings, size, None, plan, marks, picture=picture)
    check_video_name(target)
    new_audio = None if audio is None else NewAudio(audio)
    plan = check_target(target, source, settings, new_audio, size=size)
    plan = replace(plan, notes=(*spoken_notes(source, plan.settings.pix_fmt), *plan.notes))
    check_free(target, overwrite=given.overwrite)
    return Output(target, plan.settings, size, new_audio, plan, marks)
