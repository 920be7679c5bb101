"""Analyses of made-up videos, and plans for them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from latentsync.face.landmarks import CONTROL, FIVE, LANDMARKS
from latentsync.face.masks import region_mask
from latentsync.geometry import TEMPLATE, similarity
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.plan import lay_out
from latentsync.pipeline.planning.timeline import jumps, video_timeline
from latentsync.restoration.edge_blur import FIGURES
from latentsync.restoration.sharpness import BANDS
from latentsync.types import Alignment


def alignment_of(track: int, x: float = 300.0) -> Alignment:
    landmarks = np.zeros((len(LANDMARKS), 2), np.float32)
    landmarks[CONTROL] = TEMPLATE / 2
    landmarks[FIVE] = [[60, 70], [150, 70], [105, 112], [70, 180], [140, 180]]
    landmarks += [x, 100]
    return Alignment(similarity(landmarks[CONTROL], TEMPLATE), landmarks, 0.9, track)


def analysis_of(alignments, cuts=(), seconds=None) -> SourceAnalysis:
    energies = np.ones((len(alignments), 2, BANDS), np.float32)
    is_cut = np.isin(np.arange(len(alignments)), cuts)
    times = np.arange(len(alignments)) / 25 if seconds is None else seconds
    pts = np.round(times * 1000).astype(np.int64)
    people = np.ones(len(alignments), np.int64)
    edges = np.ones((len(alignments), len(FIGURES)), np.float32)
    return SourceAnalysis(pts, times, is_cut, list(alignments), energies, people, edges)


def plan_of(analysis: SourceAnalysis, line=None, *, chunk=None, size=None, generator_size=256):
    line = line or video_timeline(analysis.pts, Fraction(1, 1000), Fraction(25))
    return lay_out(
        analysis,
        line,
        frame_size=(640, 480),
        speech=chunk is not None,
        chunk=np.full(len(line), -1) if chunk is None else np.asarray(chunk),
        jumps=jumps(line, analysis.pts_seconds),
        generator_size=generator_size,
        size=size,
        region_mask=region_mask("mouth"),
    )
