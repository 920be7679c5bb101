"""What flows from the datasets through a training step to the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn


@dataclass(frozen=True, slots=True, eq=False)
class UNetBatch:
    """B clips of F consecutive frames at 25 a second.

    faces, reference: (B, F, 3, R, R) float32 RGB [-1, 1], aligned; reference is another stretch of
        the same clip.
    audio: (B, F, tokens, C) float32, each frame's window of the speech features.
    mel: (B, 1, 80, 52) float32, see speech.sync_mel: of the frames; None: no loss needs it.
    seeds: (B,) int64. All that is random in a step is drawn clip by clip from these, so that it
        does not depend on how clips are put into batches and onto devices.
    clips: names of the clips, for messages. notes: what could not be read on the way to them.
    """

    faces: Tensor
    reference: Tensor
    audio: Tensor
    mel: Tensor | None
    seeds: Tensor
    clips: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SyncBatch:
    """B pairs of 16 frames and 0.65 s of audio.

    faces: (B, 16, 3, R, R) float32 RGB [-1, 1], aligned. mel: (B, 1, 80, 52) float32.
    in_sync: (B,) float32, 1 where the audio belongs to the frames, else 0.
    clips: names of the clips, for messages. notes: what could not be read on the way to them.
    """

    faces: Tensor
    mel: Tensor
    in_sync: Tensor
    clips: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """total: (), weighted, with its gradient. parts: each loss without its weight, (), detached.

    each: for every clip of the batch the sum that entered the total, (B,), detached: says which
        clip is the culprit where the total is not finite.
    """

    total: Tensor
    parts: Mapping[str, Tensor]
    each: Tensor
    figures: Mapping[str, float] = field(default_factory=dict)
    """Others that are logged, as the accuracy."""


Batch = TypeVar("Batch", contravariant=True)


class Task(Protocol, Generic[Batch]):
    """What the loop trains. `model` holds all that trains; its other parameters need no gradient.

    The loop wraps `model` (DDP, FSDP) and hands the wrapped one to losses().
    """

    model: nn.Module

    def losses(self, model: nn.Module, batch: Batch) -> Losses:
        """Of one batch, on the device. Raises nothing for values that are not finite."""
        ...

    def to(self, device: Any) -> None:
        """Moves all frozen networks."""
        ...
