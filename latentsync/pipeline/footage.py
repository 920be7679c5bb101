"""A film as generators see it that learn from one, or take from it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch

from latentsync.generate.base import Footage, Sound
from latentsync.media.audio import AudioReader
from latentsync.media.ordered import OrderedReader
from latentsync.media.probe import probe
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.stages.generate import square
from latentsync.restore.mouth import extract
from latentsync.speech.acoustic import listen


def film_footage(path: Path, survey: SourceAnalysis) -> Footage:
    """The film and what pass 1 found in it. Its sound is heard when first asked for.

    Raises MediaError: not there, or no film.
    """
    has_sound = bool(probe(path).audio)

    @cache
    def sound() -> Sound | None:
        return listen(AudioReader(path)) if has_sound else None

    def crops(numbers: np.ndarray, size: int) -> Iterator[torch.Tensor]:
        for number, frame in zip(numbers, OrderedReader(path, numbers), strict=True):
            alignment = survey.alignments[number]
            assert alignment is not None, "only frames with a face have a crop"
            matrix = square(size) @ np.vstack([alignment.matrix, [0, 0, 1]])
            yield extract(frame.pixels, matrix, (size, size))

    return Footage(str(path), survey.alignments, survey.pts_seconds, survey.cuts, sound, crops)
