"""How much disk the clips will need, before any is made."""

from __future__ import annotations

import shutil
from pathlib import Path

from latentsync.errors import ConfigError
from latentsync.training.preparation.settings import PreparationSettings
from latentsync.weights.model_file import readable

BYTES_A_SECOND = {256: 150_000, 512: 400_000}
"""Of a clip at crf 13 with its audio: 110,000 seen at 256, estimated at 512."""
LOSSLESS = 6
"""How many times as large clips are at crf 0."""
RESERVE = 500_000_000
"""Bytes that stay free."""


def needed(
    seconds: float, settings: PreparationSettings, *, kept: int = 0, shards: int | None = None
) -> int:
    """Bytes that a run may add. seconds: of the sources that are to be done; all of it might be
    kept, of one person at a time. kept: bytes of clips that are finished. shards: bytes of those
    that are there, which the new ones, of all clips, take the place of; None: none are made."""
    halvings = (13 - settings.crf) / 6  # six steps of crf halve the bytes, about
    factor = LOSSLESS if settings.crf == 0 else 2**halvings
    clips = round(seconds * BYTES_A_SECOND[settings.resolution] * factor)
    return clips if shards is None else clips + max(0, kept + clips - shards)


def check_disk(output: Path, wanted: int, *, shards: bool) -> None:
    """wanted: see needed. Raises ConfigError where less is free."""
    free = shutil.disk_usage(output).free
    if wanted + RESERVE > free:
        less = "; --shards off needs less" if shards else ""
        remedy = (
            f"{readable(free)} are free; about {readable(wanted + RESERVE)} may be needed"
            f"{less}; --ignore_disk goes on all the same"
        )
        raise ConfigError("too little room for the clips", output, remedy)
