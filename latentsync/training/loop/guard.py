"""Stops a training whose numbers are not finite any more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from latentsync.errors import LatentSyncError
from latentsync.training.batch import Losses

CLIPS_NAMED = 4
REMEDY = "look at these clips, use a lower learning rate or precision=bf16, and start again"


class NotFiniteError(LatentSyncError):
    """what: of the step, as a loss and its clips. kept: the last good checkpoint, in words."""

    def __init__(self, step: int, what: str, kept: str) -> None:
        super().__init__(step, what, kept)
        self.step, self.what, self.kept = step, what, kept

    def __str__(self) -> str:
        return f"training stopped in step {self.step}: {self.what}; {self.kept}; {REMEDY}"


def is_bad(losses: Losses) -> Tensor:
    """-> () bool on the losses' device."""
    return ~torch.isfinite(losses.total.detach())


def describe(losses: Losses, clips: Sequence[str]) -> str:
    """Which loss of which clip is not finite. The losses are bad."""
    parts = {name: float(value) for name, value in losses.parts.items()}
    terms = [f"{name} = {value}" for name, value in parts.items() if not math.isfinite(value)]
    guilty = (~torch.isfinite(losses.each)).tolist()
    named = [name for name, bad in zip(clips, guilty, strict=True) if bad] or list(clips)
    what = " and ".join(terms) or f"the sum of all, {float(losses.total)}"
    return f"the loss is not finite ({what}) with {listed(named)}"


def describe_gradient(norm: float, clips: Sequence[str]) -> str:
    return f"the losses are finite, but not the gradient (norm {norm}), with {listed(clips)}"


def listed(clips: Sequence[str]) -> str:
    more = f" and {len(clips) - CLIPS_NAMED} more" if len(clips) > CLIPS_NAMED else ""
    plural = "clips" if len(clips) > 1 else "the clip"
    return f"{plural} {', '.join(clips[:CLIPS_NAMED])}{more}"


def means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By name the mean of those that have it."""
    names = dict.fromkeys(name for one in found for name in one)
    each = {name: [one[name] for one in found if name in one] for name in names}
    return {name: sum(values) / len(values) for name, values in each.items()}
