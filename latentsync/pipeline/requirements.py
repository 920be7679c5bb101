"""What a configuration requires: weights, and licences that have to be accepted.

What is only asked for is answered without torch, which takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentsync.errors import CheckpointError
from latentsync.generate.table import generator_kind
from latentsync.places import command
from latentsync.restoration import base
from latentsync.settings.schema import Config
from latentsync.weights.find import find
from latentsync.weights.known_licences import INSIGHTFACE
from latentsync.weights.manifest import (
    FACE_FINDER,
    FACE_MESH,
    HAND_LANDMARKS,
    LR_ASD,
    PALM_FINDER,
    SFACE,
    SMALL_FACE_FINDER,
)
from latentsync.weights.model_file import Licence, ModelFile

if TYPE_CHECKING:
    from latentsync.weights.ensure import Wanted

MEDIAPIPE_MODELS = (FACE_FINDER, SMALL_FACE_FINDER, FACE_MESH)
DOWNLOAD = f"{command('download')} downloads them, with the same settings"
NEEDS_REFERENCE = "it is fitted to the original video; name that with --reference"


def weights_wanted(config: Config, *, speech: bool, speakers: bool = False) -> list[Wanted]:
    """Each file with the path that the configuration names.

    speech: whether there is new speech. speakers: see face_models. Raises ConfigError.
    """
    spoken = generator_kind(config).weights(config) if speech else []
    faces: list[Wanted] = [(model, None) for model in face_models(config, speakers=speakers)]
    return spoken + base.weights_wanted(config.restore) + faces


def face_models(config: Config, *, speakers: bool = False) -> list[ModelFile]:
    """The models that find faces and what covers them, and that tell people apart.

    speakers: also the one that tells who speaks, which is not necessary for that.
    """
    face = config.face
    models: list[ModelFile] = []
    if face.detector.lower() == "mediapipe":
        models += MEDIAPIPE_MODELS
    elif face.detector.lower() != "insightface":
        models.append(FACE_MESH)  # a detector of boxes gets its landmarks from it
    if face.occlusion != "off":
        models += [PALM_FINDER, HAND_LANDMARKS]
    if face.identity == "sface":
        models.append(SFACE)
    if speakers:
        models.append(LR_ASD)
    return models


def ensure_face_models(config: Config) -> None:
    """Downloads those that are missing, if they are small. Raises CheckpointError for larger ones,
    and where that is not allowed (weights.offline) or fails."""
    from latentsync.weights.ensure import ensure_weights

    ensure_weights(
        [(model, None) for model in face_models(config)],
        folders=config.weights.folders,
        offline=config.weights.offline,
        consent=_refuse,
    )


def _refuse(missing: Sequence[ModelFile]) -> None:
    """Called where files would be downloaded that are not small."""
    raise CheckpointError(f"weights of {missing[0].key} not found", missing[0].filename, DOWNLOAD)


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
    plain = {name.lower() for name in base.RESTORERS} - set(base.PUBLISHED)
    restoring = restores(config) and config.restore.name.lower() not in plain
    return restoring or (speech and generator_kind(config).network)


def licences_wanted(config: Config) -> list[Licence]:
    """Licences of models that packages download themselves; others stand in the manifest."""
    return [INSIGHTFACE] if config.face.detector.lower() == "insightface" else []


def check_detector(config: Config) -> None:
    """Raises CheckpointError where the face detector would download models, but must not."""
    if config.face.detector.lower() == "insightface":
        from latentsync.face.insightface_detector import ensure_models

        ensure_models(offline=config.weights.offline)
