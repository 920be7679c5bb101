"""How output frames follow from source frames, and chunks from both: before anything is decided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.face.masks import region_mask
from latentsync.generate.base import LipGenerator
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.lipsync import Speech, output_rate, speech_seconds
from latentsync.pipeline.plan import RenderPlan, lay_out
from latentsync.pipeline.timeline import chunks, jumps, speech_timeline, video_timeline
from latentsync.restore.reuse import LONGEST
from latentsync.schema import Config, RestoreConfig

FORGOTTEN = 1e-4
"""Share of a frame's residual at which a later one's average has lost it: 0.03 code values."""


@dataclass(frozen=True, slots=True)
class Layout:
    """size: side of the square that mouths are generated in, or were. chunk_frames: of a whole
    chunk; 0: nothing is generated. fill: whether a short chunk is filled up with its own frames."""

    size: int
    chunk_frames: int
    fill: bool

    @classmethod
    def of(cls, config: Config, generator: LipGenerator | None) -> Layout:
        """generator: None where the mouths are in the video."""
        if generator is None:
            return cls(config.restore.generator_size, 0, fill=False)
        fill = config.generate.last_chunk == "reflect"
        return cls(generator.size, generator.chunk_frames, fill)

    def lengths(self, plan: RenderPlan) -> Sequence[int]:
        """By chunk, the number of frames that it is generated with."""
        counts = np.bincount(plan.chunk[plan.chunk >= 0])
        return [self.chunk_frames if self.fill else int(count) for count in counts]


def laid_out(
    config: Config,
    layout: Layout,
    analysis: SourceAnalysis,
    info: VideoInfo,
    speech: Speech | None,
    *,
    size: int | None,
) -> RenderPlan:
    """A plan in which nothing is restored yet. size: the restorer's square; None: the mouth box."""
    line = video_timeline(analysis.pts, info.time_base, info.average_rate)
    chunk = np.full(len(line), -1)
    if speech is not None:
        output = config.output
        line = speech_timeline(
            line,
            speech_seconds(speech),
            fps=output_rate(output.fps),
            length=output.length,
            extend=output.extend,
        )
        seconds = analysis.pts_seconds
        chunk = chunks(line, analysis.tracks, seconds, size=layout.chunk_frames)
    return lay_out(
        analysis,
        line,
        chunk=chunk,
        jumps=jumps(line, analysis.pts_seconds),
        generator_size=layout.size,
        size=size,
        region_mask=region_mask(config.restore.region),
    )


def lead_in(start: int, config: RestoreConfig) -> int:
    """The output frame to begin with, so that a network's memory is at ``start`` as in the whole.

    Exact for restore.reuse, which starts anew at every LONGEST-th frame; for restore.temporal to
    within FORGOTTEN.
    """
    first = start - start % LONGEST if config.reuse else start
    if config.temporal:
        first = min(first, start - math.ceil(math.log(FORGOTTEN) / math.log(config.temporal)))
    return max(first, 0)
