"""The random seed of a run that asks for a new one."""

from __future__ import annotations

import secrets
from dataclasses import replace

from latentsync.settings.schema import Config

NEW = -1
"""generate.seed: a new one for each run."""


def new_seed() -> int:
    return secrets.randbits(63)


def with_seed(config: Config, seed: int) -> Config:
    """The seed in place of NEW: all segments of a video have the same."""
    if config.generate.seed != NEW:
        return config
    return replace(config, generate=replace(config.generate, seed=seed))
