"""What encoding a frame costs, measured by encoding a few to a file that is thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from latentsync.estimate.cost import Cost, timed
from latentsync.media.picture.writer import PictureWriter
from latentsync.media.writer import VideoWriter
from latentsync.pipeline.job import Job
from latentsync.pipeline.stage_timer import Stage
from latentsync.pipeline.writing import Writer
from latentsync.types import Frame


def encoding_cost(job: Job, frames: Sequence[Frame]) -> Cost:
    """Cost of encoding a frame, measured in a temporary folder."""
    pictures: list[Any] = []
    count = max(len(frames), 1)
    with TemporaryDirectory() as folder, ExitStack() as file:
        target = Path(folder) / f"trial{job.output.target.suffix}"
        writer = file.enter_context(_writer(job, target))

        def convert() -> None:
            pictures.extend(writer.convert(frame) for frame in frames)

        def encode() -> None:
            for picture in pictures:
                writer.write_converted(picture)
            file.close()  # the encoder holds most frames back until then

        return timed(Stage.CONVERT.value, convert, count) + timed(Stage.ENCODE.value, encode, count)


def _writer(job: Job, target: Path) -> AbstractContextManager[Writer]:
    if job.output.picture is not None:
        return PictureWriter(target, job.source, job.output.picture, notes=())
    source = replace(job.source, audio=(), others=())  # what becomes of them was said before
    return VideoWriter(target, source, job.output.settings)
