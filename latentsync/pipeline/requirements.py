"""What a configuration needs from elsewhere: weights, and licences that have to be accepted."""

from __future__ import annotations

from latentsync.generate import settings
from latentsync.restore import base
from latentsync.schema import Config
from latentsync.weights.manifest import INSIGHTFACE, Licence, ModelFile


def weights_wanted(config: Config, *, speech: bool) -> list[tuple[ModelFile, str | None]]:
    """Each file with the path that the configuration gives it. speech: whether there is some.

    Raises ConfigError.
    """
    spoken = settings.weights_wanted(config) if speech else []
    return spoken + base.weights_wanted(config.restore)


def licences_wanted(config: Config) -> list[Licence]:
    """Of what is not fetched by this project; those of weights files stand in the manifest."""
    return [INSIGHTFACE] if config.face.detector.lower() == "insightface" else []
