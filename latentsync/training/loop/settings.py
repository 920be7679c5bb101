"""How a loop trains: plain numbers, whatever YAML they come from."""

from __future__ import annotations

from dataclasses import dataclass

from latentsync.errors import ConfigError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
SCHEDULES = ("constant", "constant_with_warmup", "linear", "cosine")


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """steps: the last one, counted from the start weights' own step on. batch_size: clips of one
    process at once. accumulation: such batches in one step. scale_lr: the learning rate is
    multiplied by the number of processes. precision: auto is bf16 on a GPU and fp32 on a CPU.
    ema: decay of averaged weights; 0: none. workers: processes that read clips.
    save_every, validate_every, log_every: steps; 0: never (the last step is always saved).
    keep: checkpoints; older ones of this output are deleted; 0: all stay.
    most_skipped: steps in a row that a scaler (fp16) may skip; it starts at 2 ** 16 and halves
    itself each time. weights: name of the file of weights in a checkpoint.
    trained_only: it holds those that train, and no others.
    """

    steps: int
    batch_size: int = 1
    accumulation: int = 1
    learning_rate: float = 1e-5
    scale_lr: bool = False
    weight_decay: float = 0.01
    schedule: str = "constant"
    warmup_steps: int = 0
    max_grad_norm: float = 1.0
    precision: str = "auto"
    cpu: bool = False
    seed: int = 1247
    ema: float = 0.0
    workers: int = 0
    save_every: int = 1000
    keep: int = 3
    validate_every: int = 0
    log_every: int = 1
    most_skipped: int = 24
    weights: str = "latentsync_unet.pt"
    trained_only: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulation", "log_every"):
            if getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "use 1 or more")
        if self.precision not in PRECISIONS:
            raise ConfigError("precision", self.precision, f"use one of {', '.join(PRECISIONS)}")
        if self.schedule not in SCHEDULES:
            raise ConfigError("lr_scheduler", self.schedule, f"use one of {', '.join(SCHEDULES)}")
        if not 0 <= self.ema < 1:
            raise ConfigError("ema", self.ema, "use a decay such as 0.9999, or 0 for none")
        if self.max_grad_norm <= 0:
            raise ConfigError("max_grad_norm", self.max_grad_norm, "use a number above 0, as 1.0")
        if self.learning_rate <= 0:
            raise ConfigError("learning_rate", self.learning_rate, "use a number above 0, as 1e-5")

    def samples_of_step(self, processes: int) -> int:
        return self.batch_size * self.accumulation * processes
