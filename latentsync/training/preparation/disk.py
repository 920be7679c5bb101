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


def needed(seconds: float, settings: PreparationSettings, *, shards: bool) -> int:
    """Bytes. seconds: of the sources; all of it might be kept, of one person at a time."""
    halvings = (13 - settings.crf) / 6  # six steps of crf halve the bytes, about
    factor = LOSSLESS if settings.crf == 0 else 2**halvings
    return round(seconds * BYTES_A_SECOND[settings.resolution] * factor * (2 if shards else 1))


def check_disk(
    output: Path, seconds: float, settings: PreparationSettings, *, shards: bool
) -> tuple[int, int]:
    """-> bytes needed, bytes free. Raises ConfigError where that is too little."""
    wanted, free = needed(seconds, settings, shards=shards), shutil.disk_usage(output).free
    if wanted + RESERVE > free:
        less = "; --shards off needs half of that" if shards else ""
        remedy = (
            f"{readable(free)} are free; about {readable(wanted + RESERVE)} may be needed"
            f"{less}; --ignore_disk goes on all the same"
        )
        raise ConfigError("too little room for the clips", output, remedy)
    return wanted, free
