"""What the steps need beside settings: the models, loaded once in each worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import CheckpointError
from latentsync.evaluate.networks import Judges, load_judges
from latentsync.evaluate.pairs_of_files import as_evaluated, evaluation_engine
from latentsync.face.identity import load_embedding
from latentsync.face.masks import region_mask, rest_mask
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.observation import Analyzer
from latentsync.pipeline.requirements import face_models
from latentsync.pipeline.segments.identity import plugins_hash
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.restoration.sharpness import SharpnessMeter
from latentsync.settings.schema import Config
from latentsync.speech.voice_activity import model_path
from latentsync.weights.find import find
from latentsync.weights.manifest import HYPERIQA, LR_ASD, SFACE, SYNCNET
from latentsync.weights.model_file import ModelFile
from latentsync.weights.record import sha256


@dataclass(frozen=True, slots=True, eq=False)
class Tools:
    """engine: finds faces and says who speaks. judges: SyncNet and HyperIQA, where they are."""

    engine: Engine
    judges: Judges

    def new_analyzer(self) -> Analyzer:
        """For one source."""
        face = self.engine.config.face
        meter = SharpnessMeter(region_mask("mouth"), rest_mask())
        return Analyzer(self.engine.new_detector(face), meter, face, StageTimer())


def load_tools(config: Config) -> Tools:
    """Raises any LatentSyncError that loading raises."""
    return Tools(evaluation_engine(config), load_judges(config))


def has_syncnet(config: Config) -> bool:
    """Whether SyncNet's weights are here; nothing is loaded."""
    return _found(SYNCNET, config) is not None


def identity_of(config: Config) -> Mapping[str, Any]:
    """What verdicts depend on beside the settings of the preparation and the program: other
    weights, settings of faces, or a detector of the user's own may give others."""
    return {
        "face": asdict(as_evaluated(config).face),
        "embedding": load_embedding(config.weights.folders).name,
        "weights": _contents(config),
        "plugins": plugins_hash(as_evaluated(config)),
    }


def _contents(config: Config) -> dict[str, str | None]:
    """Key of a model -> SHA-256 of its file; None: it is not here."""
    faces = face_models(as_evaluated(config))
    models = (SYNCNET, HYPERIQA, LR_ASD, SFACE, *faces)
    found = {model.key: _found(model, config) for model in models}
    paths = {**found, "silero": _speech_model()}
    return {key: None if path is None else sha256(path) for key, path in paths.items()}


def _speech_model() -> Path | None:
    try:
        return model_path()
    except CheckpointError:
        return None


def _found(model: ModelFile, config: Config) -> Path | None:
    try:
        return find(model, folders=config.weights.folders)
    except CheckpointError:
        return None
