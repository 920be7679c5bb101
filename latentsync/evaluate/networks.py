"""The networks that judge videos: each is used where its weights are, and none is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.evaluate.measures.face_quality import HyperIqaScorer, Scorer
from latentsync.evaluate.needs import Lacking
from latentsync.evaluate.sync.measure import SyncNetworks
from latentsync.evaluate.sync.networks import SyncNetEmbedder
from latentsync.evaluate.sync.stable_score import StableSyncNetAgreement
from latentsync.models.s3fd import LEAST_SIDE, S3fd, detect
from latentsync.pipeline.engine import execution_of
from latentsync.places import command
from latentsync.runtime.execution import Execution
from latentsync.settings.schema import Config
from latentsync.weights.evaluation_files import FETCHED
from latentsync.weights.find import find
from latentsync.weights.load import build
from latentsync.weights.manifest import HYPERIQA, S3FD, STABLE_SYNCNET, SYNCNET
from latentsync.weights.model_file import ModelFile


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """sync: what sync is measured with. face: how a face looks; None: not with it. lacking: what
    is not here. execution: how they run; None: there are none."""

    sync: SyncNetworks = field(default_factory=SyncNetworks)
    face: Scorer | None = None
    lacking: Lacking = field(default_factory=dict)
    execution: Execution | None = None


def load_judges(config: Config) -> Judges:
    """Those whose weights are here. Raises CheckpointError for damaged files."""
    found = {model.key: _found(model, config.weights.folders) for model in _ALL}
    if not any(found.values()):
        return Judges(lacking=_lacking(found))
    execution = execution_of(config.runtime, networks=True)
    syncnet, stable, face, boxes = (found[model.key] for model in _ALL)
    sync = SyncNetworks(
        syncnet=None if syncnet is None else SyncNetEmbedder(syncnet, execution),
        stable=None if stable is None else StableSyncNetAgreement(stable, execution),
        boxes=None if boxes is None else _boxes(boxes, execution),
    )
    scorer = None if face is None else HyperIqaScorer(face, execution)
    return Judges(sync, scorer, _lacking(found), execution)


_ALL = (SYNCNET, STABLE_SYNCNET, HYPERIQA, S3FD)
_NEEDS = {"syncnet": SYNCNET, "stable_syncnet": STABLE_SYNCNET, "hyperiqa": HYPERIQA}


def _lacking(found: dict[str, Path | None]) -> Lacking:
    lacking: dict[Any, str] = {}
    for need, model in _NEEDS.items():
        if found[model.key] is None:
            lacking[need] = (
                f"the weights of {model.key} ({model.size}) are not here; {_cure(model)}"
            )
    return lacking


def _cure(model: ModelFile) -> str:
    if model in FETCHED:
        return f"get them with {command('download')} --evaluation"
    return f"put {model.filename} at {model.places[0]}"


def _boxes(path: Path, execution: Execution) -> Callable[[np.ndarray], np.ndarray]:
    """PyTorch runs it: every size of video would be another graph."""
    network = build(S3fd, S3FD, path, execution.device)

    def boxes(pixels: np.ndarray) -> np.ndarray:
        if min(pixels.shape[:2]) < LEAST_SIDE:
            return np.empty((0, 5))
        return detect(lambda inputs: network(inputs.to(execution.device)), pixels)

    return boxes


def _found(model: ModelFile, folders: Sequence[str]) -> Path | None:
    try:
        return find(model, folders=folders)
    except CheckpointError:
        return None
