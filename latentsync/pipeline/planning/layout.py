"""Lays out the plan before any decision: source frames to output frames, frames to chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.face.landmarks import CONTROL
from latentsync.face.masks import region_mask
from latentsync.face.upstream import to_aligned, upstream_matrices
from latentsync.generate.base import LipGenerator, Overlapping
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.lipsync import Speech, speech_seconds
from latentsync.pipeline.planning.checks import check_remap
from latentsync.pipeline.planning.plan import RenderPlan, lay_out
from latentsync.pipeline.planning.timeline import (
    VideoTimeline,
    chunks,
    jumps,
    speech_timeline,
    video_timeline,
)
from latentsync.pipeline.planning.upstream_timeline import (
    UPSTREAM_FPS,
    at_upstream_rate,
    upstream_timeline,
)
from latentsync.pipeline.squares import Squares
from latentsync.restoration.temporal import LONGEST
from latentsync.settings.lengths import output_rate
from latentsync.settings.schema import Config, RestoreConfig

FORGOTTEN = 1e-4
"""Share of a frame's residual in a later average that no longer counts: 0.03 code values."""


@dataclass(frozen=True, slots=True)
class Layout:
    """size: side of the square that mouths are, or were, generated in. chunk_frames: of a whole
    chunk; 0: nothing is generated. upstream: whether alignment, crops, chunks, noise, length,
    extension and paste are LatentSync's own. overlap: frames that neighbouring chunks share."""

    size: int
    chunk_frames: int
    upstream: bool
    overlap: int = 0

    @classmethod
    def of(cls, config: Config, generator: LipGenerator | None) -> Layout:
        """generator: None: the mouths are in the video."""
        if generator is None:
            return cls(config.restore.generator_size, 0, upstream=False)
        overlap = generator.overlap if isinstance(generator, Overlapping) else 0
        return cls(generator.size, generator.chunk_frames, config.as_upstream, overlap)

    @property
    def fill(self) -> bool:
        """Whether a short chunk is padded with its own frames."""
        return not self.upstream

    def lengths(self, plan: RenderPlan) -> Sequence[int]:
        """The number of frames that each chunk is generated with."""
        counts = np.bincount(plan.chunk[plan.chunk >= 0])
        return [self.chunk_frames if self.fill else int(count) for count in counts]


def laid_out(
    config: Config,
    layout: Layout,
    analysis: SourceAnalysis,
    info: VideoInfo,
    speech: Speech | None,
    *,
    squares: Squares,
    spoken: Callable[[np.ndarray], np.ndarray | None] = lambda _seconds: None,
    size: int | None,
) -> RenderPlan:
    """A plan in which nothing is restored yet.

    squares: of the generator, or of the one that made the video. spoken: seconds (N,) of output
    frames -> (N,) bool, when the speech is heard in the video; None: from its beginning to its end.
    size: the restorer's square; None: the mouth box.
    """
    line = video_timeline(analysis.pts, info.time_base, info.average_rate)
    chunk, matrices = np.full(len(line), -1), None
    if speech is not None and layout.upstream:
        line, chunk, matrices = _upstream(layout, analysis, info, speech)
    elif speech is not None:
        seconds, video_seconds = speech_seconds(speech), line.end
        fps = output_rate(config.output.fps)
        line = speech_timeline(line, seconds, fps=fps, length=config.length)
        if line.stretch != 1:
            check_remap(video_seconds, seconds, config.output.max_remap)
        chunk = chunks(
            line,
            analysis.tracks,
            analysis.pts_seconds,
            size=layout.chunk_frames,
            overlap=layout.overlap,
            spoken=spoken(line.seconds),
        )
    return lay_out(
        analysis,
        line,
        frame_size=(info.width, info.height),
        speech=speech is not None,
        matrices=matrices,
        chunk=chunk,
        jumps=jumps(line, analysis.pts_seconds),
        overlap=layout.overlap,
        generator_size=squares.resolution(analysis.tracks[line.source]),
        size=size,
        region_mask=region_mask(config.restore.region),
    )


def _upstream(
    layout: Layout, analysis: SourceAnalysis, info: VideoInfo, speech: Speech
) -> tuple[VideoTimeline, np.ndarray, np.ndarray]:
    """-> LatentSync's own timeline, and each output frame's chunk (N,) and matrix (N, 2, 3), nan
    without a face."""
    resampled = at_upstream_rate(analysis.pts_seconds, analysis.end(info.average_rate))
    has_face = analysis.tracks >= 0
    line = upstream_timeline(len(speech), resampled, has_face, chunk_frames=layout.chunk_frames)
    faces = [analysis.alignments[i] for i in line.resampled]
    points = np.array([one.landmarks[CONTROL] for one in faces if one is not None])
    matrices = np.full((len(faces), 2, 3), np.nan, np.float32)
    seen = has_face[line.resampled]
    matrices[seen] = to_aligned(
        upstream_matrices(points.reshape(-1, 3, 2), layout.size), layout.size
    )
    count = len(line)
    shown = VideoTimeline(
        line.source, np.arange(count), 1 / UPSTREAM_FPS, UPSTREAM_FPS, spoken=count
    )
    return shown, line.chunk, matrices[line.position]


def lead_in(start: int, config: RestoreConfig, *, keeps_codes: bool = False) -> int:
    """The output frame to begin with, so that the temporal state at ``start`` is as in the whole.

    Exact for restore.reuse, which restarts at every LONGEST-th frame, and for restore.code_margin,
    which remembers no frame LONGEST or more before; to within FORGOTTEN for restore.temporal.
    keeps_codes: whether restore.code_margin applies to the restorer.
    """
    first = start
    if config.temporal:
        first -= math.ceil(math.log(FORGOTTEN) / math.log(config.temporal))
    if keeps_codes and config.code_margin:
        # A reused residual is up to LONGEST - 1 frames old, and its codes as much again.
        first -= LONGEST if config.reuse else LONGEST - 1
    return max(first - first % LONGEST if config.reuse else first, 0)
