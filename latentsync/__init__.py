"""Audio-conditioned lip-sync with the mouth restored where it is needed.

import latentsync

latentsync.restore("lipsynced.mp4", "out.mp4", superres="GFPGAN")
latentsync.lipsync("me.mp4", "new.wav", "out.mp4", generator="replay")

Both return the report, and are made of Engine (the loaded models) and Session (one video).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentsync.api import judge, lipsync, restore
    from latentsync.pipeline.engine import Engine
    from latentsync.pipeline.planning.plan import RenderPlan
    from latentsync.pipeline.preview import Preview
    from latentsync.pipeline.session import Session
    from latentsync.settings.load import load_config

__version__ = "0.1.0"

__all__ = [
    "Engine",
    "Preview",
    "RenderPlan",
    "Session",
    "judge",
    "lipsync",
    "load_config",
    "restore",
]

_HOMES = {
    "Engine": "latentsync.pipeline.engine",
    "Preview": "latentsync.pipeline.preview",
    "RenderPlan": "latentsync.pipeline.planning.plan",
    "Session": "latentsync.pipeline.session",
    "judge": "latentsync.api",
    "lipsync": "latentsync.api",
    "load_config": "latentsync.settings.load",
    "restore": "latentsync.api",
}


def __getattr__(name: str) -> Any:
    """Imports on first access: torch takes seconds, which a wrong argument need not cost."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(_HOMES[name]), name)
