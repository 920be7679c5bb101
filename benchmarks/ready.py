"""Engines for benchmarks, made as the commands make them."""

from __future__ import annotations

from latentsync.commands.console import use_threads
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.requirements import runs_networks
from latentsync.runtime.execution import torch_threads
from latentsync.settings.schema import Config


def ready_engine(config: Config, *, speech: bool = False) -> Engine:
    """Loads the models and sets the process's threads, as a command does.

    speech: whether there is new speech. Raises LatentSyncError.
    """
    engine = Engine(config)
    execution = engine.lipsync.execution if speech else engine.execution
    use_threads(torch_threads(execution, networks=runs_networks(config, speech=speech)))
    return engine
