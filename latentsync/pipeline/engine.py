"""The engine: the loaded models of one configuration, shared by any number of sessions.

    engine = Engine(load_config("configs/unet.yaml"))
    with Session(engine, "video.mp4", audio="speech.wav") as session:
        report = session.render("out.mp4")

See pipeline.session.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from operator import attrgetter

import torch

from latentsync.errors import CheckpointError, ConfigError
from latentsync.face.active_speaker import MouthScorer
from latentsync.face.detector import FaceTracker, load_detector
from latentsync.face.identity import Appearance, Embedding, load_embedding
from latentsync.face.models.hands import Hands
from latentsync.face.occlusion.near_hands import NearHands
from latentsync.face.occlusion.watch import OcclusionWatch
from latentsync.pipeline.lipsync import LipSync
from latentsync.pipeline.requirements import (
    check_detector,
    ensure_face_models,
    licences_wanted,
    restores,
    runs_networks,
)
from latentsync.pipeline.speaking import load_mouth_scorer
from latentsync.restoration.base import load_restorer
from latentsync.runtime.device import choose_device, thread_count
from latentsync.runtime.execution import REFERENCE, Execution, configure_execution
from latentsync.runtime.memory import fitting_batch
from latentsync.settings.schema import Config, FaceConfig, RuntimeConfig
from latentsync.weights import licences
from latentsync.weights.ensure import ensure_weights
from latentsync.weights.manifest import LR_ASD

logger = logging.getLogger(__name__)

RESTORING = ("restore.name", "restore.checkpoint", "restore.fidelity", "restore.batch")
OTHERS = ("compat", "generate", "data", "model", "weights", "runtime", "face.identity")
LOADED = (*OTHERS, *RESTORING)
"""Settings that the loaded models depend on: the restorer, and all others."""
FEW, MANY = 4, 16  # faces restored at once with restore.batch=0: on a CPU; at most on a GPU


class Engine:
    """The restorer, speech encoder and generator of one configuration; no state of any video.

    Sessions may use it from any number of threads at once. restorer: None where nothing is to be
    restored. execution: device, backend and dtype of its networks, or of its tensors where it has
    no network. like: an engine whose models it shares, but for the restorer: only settings that
    this depends on may differ. Raises any LatentSyncError that loading raises.
    """

    def __init__(self, config: Config, *, like: Engine | None = None) -> None:
        self.config = config
        self._like: Engine | None = None
        if like is not None:
            like.check_fits(config, OTHERS)
            self._like = like._like or like
        self._lock = threading.RLock()
        self._lipsync: LipSync | None = None
        self._batch: int | None = None
        self._scorer: MouthScorer | None = None
        self._scorer_is_loaded = False
        check_detector(config)
        licences.require(licences_wanted(config))
        ensure_face_models(config)
        networks = runs_networks(config, speech=False)
        self.execution = execution_of(config.runtime, networks=networks)
        self.restorer = (
            load_restorer(config.restore, self.execution, folders=config.weights.folders)
            if restores(config)
            else None
        )

    @property
    def lipsync(self) -> LipSync:
        """Loaded on first access: restoration without new speech does not need it."""
        if self._like is not None:
            return self._like.lipsync
        with self._lock:
            if self._lipsync is None:
                config, execution = self.config, self.execution
                known = runs_networks(config, speech=False)
                if runs_networks(config, speech=True) and not known:
                    execution = execution_of(config.runtime, networks=True)
                self._lipsync = LipSync(config, execution)
            return self._lipsync

    @property
    def restore_batch(self) -> int:
        """Faces that are restored at once: restore.batch, or as many as GPU memory holds."""
        with self._lock:
            if self._batch is None:
                self._batch = self._fitting_batch()
            return self._batch

    def check_fits(self, config: Config, keys: Sequence[str] = LOADED) -> None:
        """Raises ConfigError where a session's settings need other models than are loaded. keys:
        of these only."""
        for key in keys:
            loaded, wanted = attrgetter(key)(self.config), attrgetter(key)(config)
            if loaded != wanted:
                remedy = f"the engine was loaded with {loaded}; make another one"
                raise ConfigError(key, wanted, remedy)
        if keys is LOADED and restores(config) and self.restorer is None:
            remedy = "the engine was loaded without a restorer; make another one"
            raise ConfigError("restore.when", config.restore.when, remedy)

    def new_detector(self, face: FaceConfig) -> FaceTracker:
        """A new face detector: it tracks the faces of one video, in one thread."""
        return load_detector(
            face.detector,
            max_faces=face.max_faces,
            min_confidence=face.min_confidence,
            folders=self.config.weights.folders,
        )

    def new_watch(self) -> OcclusionWatch:
        """What watches the faces of one video for occluders."""
        folders = self.config.weights.folders
        return OcclusionWatch(NearHands(lambda: Hands(folders=folders)))

    @cached_property
    def embedding(self) -> Embedding:
        """What people are recognised by."""
        if self._like is not None:
            return self._like.embedding
        if self.config.face.identity == "edges":
            return Appearance()
        return load_embedding(self.config.weights.folders)

    @property
    def mouth_scorer(self) -> MouthScorer | None:
        """LR-ASD, downloaded and loaded on first access; None: its weights are not to be had, which
        is logged."""
        if self._like is not None:
            return self._like.mouth_scorer
        with self._lock:
            if not self._scorer_is_loaded:
                weights = self.config.weights
                try:
                    ensure_weights(
                        [(LR_ASD, None)], folders=weights.folders, offline=weights.offline
                    )
                except CheckpointError as error:
                    logger.warning("who speaks is decided without LR-ASD: %s", error)
                else:
                    execution = execution_of(self.config.runtime, networks=True)
                    self._scorer = load_mouth_scorer(execution, folders=weights.folders)
                self._scorer_is_loaded = True
            return self._scorer

    def _fitting_batch(self) -> int:
        wanted, restorer, device = self.config.restore.batch, self.restorer, self.execution.device
        batched = device.type == "cuda" and self.execution.backend != "compile"
        if wanted or restorer is None or restorer.size is None or not batched:
            return wanted or FEW
        faces = torch.zeros(MANY, 3, restorer.size, restorer.size, device=device)
        return fitting_batch(lambda count: restorer(faces[:count]), most=MANY, device=device)


def execution_of(runtime: RuntimeConfig, *, networks: bool) -> Execution:
    """Device, backend and dtype of networks; where there are none, only the device is chosen.

    Raises ConfigError.
    """
    if networks:
        return configure_execution(runtime)
    device, threads = choose_device(runtime.device), thread_count(runtime.threads)
    return replace(REFERENCE, device=device, threads=threads)
