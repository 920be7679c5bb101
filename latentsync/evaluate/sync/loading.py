"""Which networks of sync can be had: found on this machine, or downloaded where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.evaluate.figure import Need
from latentsync.evaluate.sync.networks import Embedder, S3fdBoxes, SyncNetEmbedder
from latentsync.evaluate.sync.stable_score import Agreement, StableSyncNetAgreement
from latentsync.pipeline.engine import execution_of
from latentsync.settings.schema import Config
from latentsync.weights.download import Progress
from latentsync.weights.ensure import (
    Consent,
    consent_to_all,
    ensure_weights,
    no_byte_progress,
)
from latentsync.weights.evaluation_files import S3FD, STABLE_SYNCNET, SYNCNET
from latentsync.weights.find import find
from latentsync.weights.model_file import ModelFile, readable
from latentsync.weights.verify import verify


@dataclass(frozen=True, slots=True, eq=False)
class SyncNetworks:
    """What sync is measured with; None: not with it.

    boxes: of S3FD, see networks.S3fdBoxes; None: of the faces that the engine finds, see crops.py.
    """

    syncnet: Embedder | None = None
    stable: Agreement | None = None
    boxes: Callable[[np.ndarray], np.ndarray] | None = None


def load_networks(
    config: Config,
    *,
    download: bool = False,
    s3fd: bool = False,
    consent: Consent = consent_to_all,
    progress: Progress = no_byte_progress,
) -> tuple[SyncNetworks, dict[Need, str]]:
    """The networks whose weights are on this machine, and why the others are not there.

    download: SyncNet (55 MB, MIT) is downloaded where it is missing, with consent; StableSyncNet
    (1.6 GB) never is. s3fd: faces are cropped by S3FD's boxes, whose weights have to be there.
    Raises CheckpointError: a download failed, a file is damaged or of another network, or S3FD is
    wanted and missing. ConfigError: a licence has not been accepted.
    """
    execution = execution_of(config.runtime, networks=True)
    folders = config.weights.folders
    if download:
        wanted = [(SYNCNET, None)]
        offline = config.weights.offline
        ensure_weights(wanted, folders=folders, offline=offline, progress=progress, consent=consent)
    found = partial(_found, folders=folders)
    syncnet, stable = found(SYNCNET), found(STABLE_SYNCNET)
    lacking: dict[Need, str] = {}
    if syncnet is None:
        lacking["syncnet"] = f"{_missing(SYNCNET)}; --syncnet downloads it"
    if stable is None:
        place = STABLE_SYNCNET.places[0]
        lacking["stable_syncnet"] = f"{_missing(STABLE_SYNCNET)}; put it at {place}"
    networks = SyncNetworks(
        None if syncnet is None else SyncNetEmbedder(syncnet, execution),
        None if stable is None else StableSyncNetAgreement(stable, execution),
        S3fdBoxes(_verified(S3FD, folders), execution) if s3fd else None,
    )
    return networks, lacking


def _found(model: ModelFile, *, folders: Sequence[str | Path]) -> Path | None:
    """None: it is not on this machine. Raises CheckpointError where it is damaged."""
    try:
        path = find(model, folders=folders)
    except CheckpointError:
        return None
    verify(model, path)
    return path


def _verified(model: ModelFile, folders: Sequence[str | Path]) -> Path:
    path = find(model, folders=folders)
    verify(model, path)
    return path


def _missing(model: ModelFile) -> str:
    """What it is, for somebody who does not have it."""
    return (
        f"the weights of {model.key} are not here "
        f"({model.filename}, {readable(model.bytes)}, {model.licence.name})"
    )
