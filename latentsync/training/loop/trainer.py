"""The loop: steps, reports, checkpoints, validation; on one device or several.

trainer = Trainer(task, dataset, collate, settings, output)
trainer.fit()
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import CheckpointError, ConfigError
from latentsync.training.batch import Task
from latentsync.training.loop import state as states
from latentsync.training.loop.checkpoint import (
    Checkpoint,
    averaged,
    prune,
    write_checkpoint,
)
from latentsync.training.loop.devices import Across, is_sharded, make_accelerator, on_device
from latentsync.training.loop.ema import Averages
from latentsync.training.loop.figures import Validate, figures_of, runs_the_model
from latentsync.training.loop.log import Log
from latentsync.training.loop.meter import Meter, Report
from latentsync.training.loop.order import Clips, RankBatches, batches
from latentsync.training.loop.saving import Pack, as_latentsync, files_of, load_weights, restore
from latentsync.training.loop.schedule import make_optimizer, make_schedule
from latentsync.training.loop.settings import LoopSettings
from latentsync.training.loop.step import Stepper, StepResult

logger = logging.getLogger(__name__)

Watch = Callable[[Report], str | None]
"""Looks at the reports; returns a sentence where something should be said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """step: the last one done. stopped_by: what stop() returned; 0: it is complete. checkpoint: of
    that step."""

    step: int
    stopped_by: int
    checkpoint: Path | None


class Trainer:
    """Constructing it loads onto the device and writes nothing.

    start_step: of the start weights; steps are counted on from there. resume: a checkpoint to go on
    from, with all of its state. about: what checkpoints say of the run's settings. pack: makes the
    file of weights.
    Raises ConfigError and CheckpointError.
    """

    def __init__(
        self,
        task: Task[Any],
        clips: Clips,
        collate: Callable[[Sequence[Any]], Any],
        settings: LoopSettings,
        output: Path,
        *,
        start_step: int = 0,
        resume: Checkpoint | None = None,
        about: Mapping[str, Any] | None = None,
        validate: Validate | None = None,
        watches: Sequence[Watch] = (),
        see: Callable[[Report], None] = lambda _report: None,
        pack: Pack = as_latentsync,
    ) -> None:
        self.task, self.settings, self.output = task, settings, output
        self._clips, self._collate, self._about = clips, collate, dict(about or {})
        self._watches, self._see = watches, see
        self.pack, self._said = pack, set[str]()
        self.accelerator = make_accelerator(settings)
        self.across = Across(self.accelerator)
        if is_sharded(self.accelerator) and runs_the_model(validate):
            logger.warning("no validation during the training: FSDP keeps the network in parts")
            validate = None
        self._validate = validate
        self.start_step = start_step if resume is None else int(resume.about["start_step"])
        self.step, self.samples = self.start_step, 0
        self.last: Checkpoint | None = resume
        states.seed_random(settings.seed + self.accelerator.process_index)
        if resume is not None:
            load_weights(self, resume)
        self._prepare()
        if resume is not None:
            restore(self, resume)

    def _prepare(self) -> None:
        task, settings = self.task, self.settings
        task.to(self.accelerator.device)
        task.model.train()
        optimizer = make_optimizer(
            task.model.parameters(), settings, processes=self.accelerator.num_processes
        )
        # Before accelerate wraps the optimizer: else PyTorch warns that its step was replaced.
        self.schedule = make_schedule(optimizer, settings, steps=settings.steps - self.start_step)
        self.model, self.optimizer = self.accelerator.prepare(task.model, optimizer)
        if settings.ema and is_sharded(self.accelerator):
            raise ConfigError("ema", settings.ema, "FSDP has no averages here: set it to 0")
        self.averages = Averages(self.plain_model, settings.ema) if settings.ema else None
        self.stepper = Stepper(
            self.accelerator,
            task,
            self.model,
            self.optimizer,
            self.schedule,
            max_grad_norm=settings.max_grad_norm,
            most_skipped=settings.most_skipped,
            across=self.across,
        )
        self._meter = Meter(self.of_step)

    @property
    def of_step(self) -> int:
        """Samples of all processes in one step."""
        return self.settings.samples_of_step(self.accelerator.num_processes)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return bool(self.accelerator.is_main_process)

    @property
    def plain_model(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

    @property
    def plain_optimizer(self) -> Any:
        return getattr(self.optimizer, "optimizer", self.optimizer)

    def fit(self, stop: Callable[[], int] = lambda: 0) -> Outcome:
        """Trains to the last step. stop: asked after each step; other than 0 ends the training
        after a checkpoint.

        Raises NotFiniteError, CheckpointError where a checkpoint cannot be written, and what the
        dataset raises.
        """
        stopped = 0
        with self._log() as log:
            for result in self.steps(self.settings.steps - self.step, stop):
                self._tell(result, log)
                stopped = result.stop
                ends = bool(stopped) or self.step >= self.settings.steps
                validates = self._validates(ends) and not stopped
                if ends or validates or self._due(self.settings.save_every):
                    self._save(log)
                    self._meter.start()
                if validates:
                    self._validated(log)
                if ends:
                    break
        return Outcome(self.step, stopped, None if self.last is None else self.last.path)

    def steps(self, count: int, stop: Callable[[], int] = lambda: 0) -> Iterator[StepResult]:
        """Does so many steps, and yields after each. Writes nothing."""
        self._meter.start()
        given = self._batches(count)
        for _ in range(count):
            device = self.accelerator.device
            some = [on_device(next(given), device) for _ in range(self.settings.accumulation)]
            self._say_notes(some)
            result = self.stepper(some, step=self.step + 1, stop=stop, kept=self._kept)
            self.step, self.samples = self.step + 1, self.samples + self.of_step
            if self.averages is not None and not result.skipped:
                self.averages.update(self.plain_model)
            self._meter.add(result)
            yield result

    def _say_notes(self, some: Sequence[Any]) -> None:
        """What was wrong with clips, once each."""
        for note in (note for batch in some for note in getattr(batch, "notes", ())):
            if note not in self._said:
                self._said.add(note)
                logger.warning(note)

    @property
    def last_seconds(self) -> float:
        """That the last step took."""
        return self._meter.last_seconds

    def report(self) -> Report:
        """Means since the last one. All processes call it."""
        device = self.accelerator.device
        memory = self.across.largest([self._meter.memory_bytes(device) / 2**20])
        parts = self.across.all(self._meter.taken())
        return self._meter.report(
            parts,
            step=self.step,
            last=self.settings.steps,
            memory_bytes=int(memory[0]) * 2**20,
            samples=self.samples,
        )

    def _batches(self, steps: int) -> Iterator[Any]:
        sampler = RankBatches(
            len(self._clips),
            position=self.samples,
            turns=steps * self.settings.accumulation,
            batch=self.settings.batch_size,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )
        return batches(self._clips, self._collate, sampler, workers=self.settings.workers)

    def _due(self, every: int) -> bool:
        return every > 0 and (self.step - self.start_step) % every == 0

    def _validates(self, ends: bool) -> bool:
        """At the end too."""
        every = self.settings.validate_every
        return every > 0 and (ends or self._due(every))

    def _log(self) -> Any:
        return Log(self.output, step=self.step + 1) if self.is_first else nullcontext()

    def _tell(self, result: StepResult, log: Log | None) -> None:
        end = bool(result.stop) or self.step >= self.settings.steps
        if not (end or self._due(self.settings.log_every)):
            return
        report = self.report()
        if log is None:
            return
        log.line(self.step, report.as_line())
        self._see(report)
        for said in (watch(report) for watch in self._watches):
            if said is not None:
                logger.warning(said)
                log.line(self.step, {"said": said})

    def _save(self, log: Log | None) -> None:
        """All processes call it; the first one writes."""
        files = files_of(self)
        found: Checkpoint | CheckpointError | None = None
        if log is not None:
            try:
                found = write_checkpoint(self.output, self._described(), files)
                prune(self.output, self.settings.keep, step=self.step)
                log.line(self.step, {"checkpoint": str(found.path)})
            except CheckpointError as error:
                found = error
        told = self.across.all(found)[0]
        if isinstance(told, CheckpointError):
            raise told
        self.last = told

    def _described(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "start_step": self.start_step,
            "samples": self.samples,
            "processes": self.accelerator.num_processes,
            **self._about,
        }

    def _validated(self, log: Log | None) -> None:
        """By the first process; the others wait."""
        if log is not None and self._validate is not None and self.last is not None:
            self.optimizer.zero_grad(set_to_none=True)  # their memory is needed
            name = self.settings.weights
            weights = self.last.path / (name if self.averages is None else averaged(name))
            kept = states.random_state()
            with self._as_validated(self._validate):
                found = figures_of(self._validate, weights, self.step)
            states.restore_random(kept)
            self.model.train()
            if found:
                log.line(self.step, {f"validation/{k}": v for k, v in found.items()})
        self.across.wait()
        self._meter.start()

    def _as_validated(self, validate: Validate) -> AbstractContextManager[None]:
        """With averaged weights in the model, where there are any and the validation runs it."""
        if self.averages is None or not runs_the_model(validate):
            return nullcontext()
        return self.averages.in_place(self.plain_model)

    def _kept(self) -> str:
        if self.last is None:
            return "nothing had been saved yet"
        return f"the last good checkpoint is {self.last.path} (step {self.last.step})"
