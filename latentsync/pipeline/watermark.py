"""A watermark of the user's own: a plug-in that gets every frame before it is encoded.

It may change every pixel, as a watermark has to; none is included. The frames come in order, one at
a time, from one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from latentsync.errors import ConfigError
from latentsync.plugins import find_plugin
from latentsync.settings.schema import OutputConfig
from latentsync.types import Frame

Mark = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) uint8 or uint16 RGB -> the same shape and dtype; the argument must stay as it is."""


class Watermark:
    """name: as in the settings. mark: loaded."""

    def __init__(self, name: str, mark: Mark) -> None:
        self.name, self._mark = name, mark

    def __call__(self, frame: Frame) -> Frame:
        """Raises ConfigError where the plug-in returns anything else than such a frame."""
        made, given = self._mark(frame.pixels), frame.pixels
        if not isinstance(made, np.ndarray) or (made.shape, made.dtype) != (
            given.shape,
            given.dtype,
        ):
            wanted = f"{given.shape} of {given.dtype}"
            what = f"{made.shape} of {made.dtype}" if isinstance(made, np.ndarray) else type(made)
            remedy = f"it returned {what} for a frame of {wanted}; return the same kind"
            raise ConfigError("output.watermark", self.name, remedy)
        return replace(frame, pixels=np.ascontiguousarray(made))


def load_watermark(config: OutputConfig) -> Watermark | None:
    """None: none is set. The plug-in's load(config) returns a Mark.

    Raises UnknownPluginError, ConfigError, and what the plug-in raises.
    """
    name = config.watermark
    if name is None:
        return None
    mark = find_plugin("watermark", name, {})(config)
    if not callable(mark):
        remedy = f"its loader returned {type(mark).__name__}; return a function of a frame's pixels"
        raise ConfigError("output.watermark", name, remedy)
    return Watermark(name, mark)
