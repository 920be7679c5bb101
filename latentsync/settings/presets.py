"""Presets: quality against time in one word.

Every preset sets the same keys, so that switching presets leaves no value of another behind; but
`draft` chooses generator and VAE as well. `quality` equals the defaults, which are those of the
published models; docs/speed.md has the table.
"""

from __future__ import annotations

import difflib

from latentsync.errors import ConfigError
from latentsync.settings.schema import TAESD

Setting = str | int | float | list[float]

_FAST: dict[str, Setting] = {
    "generate.steps": 8,
    "generate.scheduler": "dpmpp_2m",
    "generate.step_cache": 2,  # with few steps, far apart, cached features fit less well
    "generate.guidance": 1.0,  # off: one forward pass a step instead of two
    "generate.guidance_interval": [0.0, 1.0],
    "restore.batch": 0,  # automatic
    "restore.reuse": 4.0,
    "output.preset": "veryfast",
}

PRESETS: dict[str, dict[str, Setting]] = {
    "draft": {
        **_FAST,
        "generate.name": "auto",  # see generate.table.AUTO
        "generate.vae": TAESD,  # the VAE took more than half of the time of fast
        "generate.steps": 6,
        "generate.step_cache": 3,  # two whole passes: the chunk of a preview in half a minute
    },
    "fast": _FAST,
    "balanced": {  # DeepCache as in LatentSync's own app
        "generate.steps": 20,
        "generate.scheduler": "ddim",
        "generate.step_cache": 3,
        "generate.guidance": 1.5,
        "generate.guidance_interval": [0.2, 0.8],
        "restore.batch": 0,
        "restore.reuse": 0.0,
        "output.preset": "fast",
    },
    "quality": {
        "generate.steps": 20,
        "generate.scheduler": "ddim",
        "generate.step_cache": 0,
        "generate.guidance": 1.5,
        "generate.guidance_interval": [0.0, 1.0],
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
