"""Loaded models that several jobs, one after the other or at once, use."""

from __future__ import annotations

import threading
from contextlib import suppress

from latentsync.errors import ConfigError
from latentsync.pipeline.engine import Engine
from latentsync.settings.schema import Config


class Engines:
    """Loads the models of one configuration at a time; used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    def of(self, config: Config) -> Engine:
        """The loaded engine, if it fits; else another one in its place. Raises as Engine does."""
        with self._lock:
            if self._engine is not None:
                with suppress(ConfigError):
                    self._engine.check_fits(config)
                    return self._engine
                self._engine = None  # before the next one is loaded: both may not fit into memory
            self._engine = Engine(config)
            return self._engine

    def release(self) -> None:
        """The models are no longer kept; whoever uses them goes on."""
        with self._lock:
            self._engine = None
