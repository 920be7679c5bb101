"""Audio-conditioned lip-sync with the mouth restored where it is needed.

from latentsync import Engine, Session, load_config
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentsync.pipeline.engine import Engine
    from latentsync.pipeline.planning.plan import RenderPlan
    from latentsync.pipeline.session import Preview, Session
    from latentsync.settings.load import load_config

__version__ = "0.1.0"

__all__ = ["Engine", "Preview", "RenderPlan", "Session", "load_config"]

_HOMES = {
    "Engine": "latentsync.pipeline.engine",
    "Preview": "latentsync.pipeline.session",
    "RenderPlan": "latentsync.pipeline.planning.plan",
    "Session": "latentsync.pipeline.session",
    "load_config": "latentsync.settings.load",
}


def __getattr__(name: str) -> Any:
    """Imported when first asked for: torch takes seconds, which a wrong argument need not cost."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(_HOMES[name]), name)
