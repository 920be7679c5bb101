"""What all speakers of a session share."""

from __future__ import annotations

from dataclasses import dataclass

from latentsync.pipeline.concurrency import CancelFlag
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.other_videos import OtherVideos
from latentsync.pipeline.rendering import FrameReader
from latentsync.pipeline.source import Source
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.restoration.sharpness import SharpnessMeter
from latentsync.settings.schema import Config


@dataclass(frozen=True, slots=True, eq=False)
class Workplace:
    """What all speakers of a session share."""

    engine: Engine
    config: Config
    source: Source
    timer: StageTimer
    flag: CancelFlag
    meter: SharpnessMeter
    others: OtherVideos

    @property
    def reader(self) -> FrameReader:
        return FrameReader(self.source, self.timer, self.flag)
