"""Loaded models that several jobs, one after the other or at once, use."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from latentsync.errors import ConfigError
from latentsync.pipeline.engine import OTHERS, Engine
from latentsync.settings.schema import Config


class Engines:
    """Loads models when they are first needed; used from any thread.

    All that are kept share one generator: two may not fit into memory. most: restorers that are
    kept, from 1. loaded: before.
    """

    def __init__(self, most: int = 1, loaded: Sequence[Engine] = ()) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept = list(loaded)  # the one that was used last comes last

    def of(self, config: Config) -> Engine:
        """A loaded engine, if one fits; else another one. Raises as Engine does."""
        with self._lock:
            for engine in self._kept:
                with suppress(ConfigError):
                    engine.check_fits(config)
                    self._kept.remove(engine)
                    self._kept.append(engine)
                    return engine
            like = self._with_generator(config)
            kept = len(self._kept) if like is not None else 0
            self._kept = self._kept[len(self._kept) - min(kept, self._most - 1) :]
            self._kept.append(Engine(config, like=like))
            return self._kept[-1]

    def release(self) -> None:
        """The models are no longer kept; whoever uses them goes on."""
        with self._lock:
            self._kept = []

    def _with_generator(self, config: Config) -> Engine | None:
        for engine in self._kept:
            with suppress(ConfigError):
                engine.check_fits(config, OTHERS)
                return engine
        return None
