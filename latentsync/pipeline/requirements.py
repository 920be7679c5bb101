"""What a configuration requires: weights, and licences that have to be accepted."""

from __future__ import annotations

from latentsync.errors import CheckpointError
from latentsync.face.insightface_detector import ensure_models
from latentsync.generate import model_spec as settings
from latentsync.restoration import base
from latentsync.settings.schema import Config
from latentsync.weights.find import find
from latentsync.weights.manifest import INSIGHTFACE, Licence, ModelFile

NEEDS_REFERENCE = "it is fitted to the original video; name that with --reference"


def weights_wanted(config: Config, *, speech: bool) -> list[tuple[ModelFile, str | None]]:
    """Each file with the path that the configuration names. speech: whether there is new speech.

    Raises ConfigError.
    """
    spoken = settings.weights_wanted(config) if speech else []
    return spoken + base.weights_wanted(config.restore)


def missing_weights(config: Config, *, speech: bool) -> list[ModelFile]:
    """The files that would be downloaded. Raises ConfigError, and CheckpointError for a path in
    the configuration that does not exist."""
    missing = []
    for model, path in weights_wanted(config, speech=speech):
        try:
            find(model, path, folders=config.weights.folders)
        except CheckpointError:
            if path is not None:
                raise
            missing.append(model)
    return missing


def restores(config: Config) -> bool:
    """Whether frames may be restored: a restorer is chosen, and restore.when is not never."""
    return config.restore.name.lower() != "none" and config.restore.when != "never"


def runs_networks(config: Config, *, speech: bool) -> bool:
    """Whether any network may run: plug-ins count as networks. speech: whether there is new
    speech."""
    restorer, generator = config.restore.name.lower(), config.generate.name.lower()
    plain = {name.lower() for name in base.RESTORERS} - set(base.PUBLISHED)
    return (restores(config) and restorer not in plain) or (speech and generator != "replay")


def licences_wanted(config: Config) -> list[Licence]:
    """Licences of models that packages download themselves; others stand in the manifest."""
    return [INSIGHTFACE] if config.face.detector.lower() == "insightface" else []


def check_detector(config: Config) -> None:
    """Raises CheckpointError where the face detector would download models, but must not."""
    if config.face.detector.lower() == "insightface":
        ensure_models(offline=config.weights.offline)
