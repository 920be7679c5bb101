"""Presets: one word for how much time a video may take.

Every preset sets the same keys, so that none is left over from another. `quality` is what the
models were published with, and the defaults; the table in README.md says the same.
"""

from __future__ import annotations

import difflib

from latentsync.errors import ConfigError

Setting = str | int | float

PRESETS: dict[str, dict[str, Setting]] = {
    "fast": {
        "generate.steps": 8,
        "generate.scheduler": "dpmpp_2m",
        "generate.step_cache": 2,  # of few steps, far apart, a cached one is a coarser guess
        "generate.guidance": 1.0,  # off: the network runs once a step in place of twice
        "restore.batch": 0,  # 4; on an NVIDIA card as many as its memory holds
        "restore.reuse": 4.0,
        "output.preset": "veryfast",
    },
    "balanced": {  # the step cache as LatentSync's own app has it, always on
        "generate.steps": 20,
        "generate.scheduler": "ddim",
        "generate.step_cache": 3,
        "generate.guidance": 1.5,
        "restore.batch": 0,
        "restore.reuse": 0.0,
        "output.preset": "fast",
    },
    "quality": {
        "generate.steps": 20,
        "generate.scheduler": "ddim",
        "generate.step_cache": 0,
        "generate.guidance": 1.5,
        "restore.batch": 0,
        "restore.reuse": 0.0,
        "output.preset": "medium",
    },
}


def preset_settings(name: object) -> dict[str, Setting]:
    """Dotted key -> value of the preset. Raises ConfigError for one that does not exist."""
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    close = difflib.get_close_matches(str(name), PRESETS, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    remedy = f"use {', '.join(PRESETS)}{meant}; the encoder's own preset is output.preset"
    raise ConfigError("preset", name, remedy)
