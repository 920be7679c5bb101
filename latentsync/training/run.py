"""A training that is set up: everything is checked and built, nothing is written yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError
from latentsync.pipeline.segments.lock import held
from latentsync.training.batch import Task
from latentsync.training.loop.checkpoint import Checkpoint, checkpoints_of, clear_remains
from latentsync.training.loop.dry_run import Cost, check_disk, dry_run
from latentsync.training.loop.figures import Validate
from latentsync.training.loop.meter import Report
from latentsync.training.loop.order import Clips
from latentsync.training.loop.settings import LoopSettings
from latentsync.training.loop.trainer import (
    Outcome,
    Pack,
    Trainer,
    Watch,
    as_latentsync,
)
from latentsync.training.settings.schema import SyncNetTraining, UNetTraining

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Run:
    """start_step: of the start weights. resume: what it goes on from; None: it begins. identity: by
    which the settings are recognised. hint: how the weights are used, {} stands for their file."""

    task: Task[Any]
    clips: Clips
    collate: Callable[[Sequence[Any]], Any]
    loop: LoopSettings
    output: Path
    identity: Mapping[str, Any]
    hint: str
    start_step: int = 0
    resume: Checkpoint | None = None
    validate: Validate | None = None
    watches: Sequence[Watch] = ()
    pack: Pack = as_latentsync

    @property
    def last_step(self) -> int:
        return self.loop.steps

    def dry_run(self) -> Cost:
        return dry_run(self._trainer(lambda _report: None), len(self.clips))

    def fit(self, stop: Callable[[], int], see: Callable[[Report], None]) -> Outcome:
        """Raises MediaError where another training writes to the output, and as Trainer.fit."""
        trainer = self._trainer(see)
        if not trainer.is_first:
            return trainer.fit(stop)
        with held(self.output, shared=False):
            clear_remains(self.output, self.loop.weights)
            return trainer.fit(stop)

    def use_of(self, outcome: Outcome) -> str:
        """How the weights of its end are used."""
        folder = self.output if outcome.checkpoint is None else outcome.checkpoint
        return self.hint.format(folder / self.loop.weights)

    def _trainer(self, see: Callable[[Report], None]) -> Trainer:
        known = None if self.resume is None else self.resume.about.get("clips")
        if known not in (None, len(self.clips)):
            what = f"{known} clips when it was saved, {len(self.clips)} now"
            logger.warning("%s: it goes on with other clips than it would have", what)
        check_disk(
            self.output,
            self.task.model,
            averages=bool(self.loop.ema),
            keep=self.loop.keep,
            there=len(checkpoints_of(self.output)),
            trained_only=self.loop.trained_only,
        )
        return Trainer(
            self.task,
            self.clips,
            self.collate,
            self.loop,
            self.output,
            start_step=self.start_step,
            resume=self.resume,
            about={"settings": dict(self.identity), "clips": len(self.clips)},
            validate=self.validate,
            watches=self.watches,
            see=see,
            pack=self.pack,
        )


def loop_of(settings: UNetTraining | SyncNetTraining, **own: Any) -> LoopSettings:
    """own: what only one of the two trainings has, or has elsewhere."""
    data, run, extras = settings.data, settings.run, settings.training
    return LoopSettings(
        steps=run.max_train_steps,
        batch_size=data.batch_size,
        accumulation=settings.gradient_accumulation,
        learning_rate=settings.optimizer.lr,
        max_grad_norm=settings.optimizer.max_grad_norm,
        precision=settings.precision,
        cpu=extras.device == "cpu",
        seed=run.seed,
        ema=extras.ema,
        workers=data.num_workers,
        save_every=settings.ckpt.save_ckpt_steps,
        keep=extras.keep_checkpoints,
        log_every=extras.log_every,
        most_skipped=extras.max_nan_steps,
        **own,
    )


def last_step(wanted: int, start: int, *, key: str = "run.max_train_steps") -> int:
    """Raises ConfigError where the start weights are beyond it: steps are counted on from theirs,
    as LatentSync does."""
    if wanted <= start:
        remedy = f"it counts on from the start weights' step {start}: use {start + wanted}, say"
        raise ConfigError(key, wanted, remedy)
    return wanted


def start_file(named: str, key: str) -> Path | None:
    """None: none is named. Raises ConfigError where there is no such file."""
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        remedy = "download it, check the path, or leave it empty to begin with random weights"
        raise ConfigError(f"{key}: no such file", named, remedy)
    return path
