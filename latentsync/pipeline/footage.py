"""A video as generators see it that learn from one, or take from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch

from latentsync.generate.base import Footage, Sound
from latentsync.geometry import extract, square
from latentsync.media.audio.reader import AudioReader
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.concurrency import Checked, unchecked
from latentsync.pipeline.source import Source
from latentsync.speech.acoustic import listen


def footage_of(
    source: Source, analysis: SourceAnalysis, check: Callable[[], None] = unchecked
) -> Footage:
    """The video and what pass 1 found in it. Its sound is read when first asked for.

    check: called while that is read; may raise.
    """
    path = source.info.path
    has_sound = bool(source.info.audio)

    @cache
    def sound() -> Sound | None:
        return listen(Checked(AudioReader(path), check)) if has_sound else None

    def crops(numbers: np.ndarray, size: int) -> Iterator[torch.Tensor]:
        matrices = analysis.matrices[numbers]
        for aligned, frame in zip(matrices, source.shown(numbers), strict=True):
            matrix = square(size) @ np.vstack([aligned, [0, 0, 1]])
            yield extract(frame.pixels, matrix, (size, size))

    return Footage(
        str(path), analysis.alignments, analysis.pts_seconds, analysis.cuts, sound, crops
    )
