"""What a configuration needs from elsewhere: weights, and licences that have to be accepted."""

from __future__ import annotations

from latentsync.errors import CheckpointError
from latentsync.face.insightface_detector import ensure_models
from latentsync.generate import model_spec as settings
from latentsync.restoration import base
from latentsync.settings.schema import Config
from latentsync.weights.find import find
from latentsync.weights.manifest import INSIGHTFACE, Licence, ModelFile

NEEDS_REFERENCE = "it learns from the original video; name it with --reference"


def weights_wanted(config: Config, *, speech: bool) -> list[tuple[ModelFile, str | None]]:
    """Each file with the path that the configuration gives it. speech: whether there is some.

    Raises ConfigError.
    """
    spoken = settings.weights_wanted(config) if speech else []
    return spoken + base.weights_wanted(config.restore)


def missing_weights(config: Config, *, speech: bool) -> list[ModelFile]:
    """What would have to be fetched. Raises ConfigError, and CheckpointError for a path that the
    configuration names and that is not there."""
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
    """Whether there is a restorer that may have something to do."""
    return config.restore.name.lower() != "none" and config.restore.when != "never"


def runs_networks(config: Config, *, speech: bool) -> bool:
    """Whether any network runs, or may: whatever is not known to be none. speech: whether there is
    some."""
    restorer, generator = config.restore.name.lower(), config.generate.name.lower()
    plain = {name.lower() for name in base.RESTORERS} - set(base.PUBLISHED)
    return (restores(config) and restorer not in plain) or (speech and generator != "replay")


def licences_wanted(config: Config) -> list[Licence]:
    """Of what is not fetched by this project; those of weights files stand in the manifest."""
    return [INSIGHTFACE] if config.face.detector.lower() == "insightface" else []


def check_detector(config: Config) -> None:
    """Raises CheckpointError where the face detector would fetch models, but must not."""
    if config.face.detector.lower() == "insightface":
        ensure_models(offline=config.weights.offline)
