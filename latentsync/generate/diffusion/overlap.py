"""Neighbouring chunks of one shot that share frames: anchors, and the bridges between them.

The chunks of a run are in turn anchors and bridges. An anchor is denoised alone, as without
overlap. A bridge is denoised with the frames that it shares with the anchors on both sides: at
every step its noise prediction for a shared frame is averaged with the anchor's, by a ramp from the
one to the other, as context windows in AnimateDiff are. All frames of a video begin with the same
noise, and every scheduler in use is linear in latents and predictions, so the latents of a shared
frame are, after every step, the same average of the two chunks' latents. Averaging the latents
themselves after each step would pull them to the anchor again and again: no ramp would be left, and
schedulers that remember earlier predictions would undo it in part.

In AnimateDiff an anchor is changed by the bridge as well. Then all chunks of a run depend on each
other, have to be denoised at the same time, and no frame is known before all are. Here a chunk
depends on its direct neighbours alone: memory is flat, any frame can be made from three chunks at
most, and segments are the same as the whole, bit for bit. What is kept of an anchor is what the
bridges need: Edge.

The average of equal predictions is exactly that prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """The first or the last frames of an anchor, which a bridge shares.

    conditions: (1, 9, o, r, r), see sampling.prepare. predictions: by denoising step, the predicted
    noise (1, 4, o, r, r) float32: 0.5 MB a step for 8 frames of 512 pixels.
    """

    conditions: Tensor
    predictions: Sequence[Tensor]

    def __len__(self) -> int:
        return self.conditions.shape[2]


class Recorder:
    """Keeps an anchor's predictions for some of its frames; see sampling.denoise, adjust."""

    def __init__(self, *frames: slice) -> None:
        self._frames = frames
        self.predictions: tuple[list[Tensor], ...] = tuple([] for _ in frames)

    def __call__(self, _step: int, noise: Tensor) -> Tensor:
        for kept, frames in zip(self.predictions, self._frames, strict=True):
            kept.append(noise[:, :, frames].clone())  # not a view of the whole
        return noise


class Averager:
    """Averages a bridge's predictions with the anchors' beside it; see sampling.denoise, adjust.

    before, after: of the anchors; None: there is none.
    """

    def __init__(self, before: Edge | None, after: Edge | None) -> None:
        self._before, self._after = before, after

    def __call__(self, step: int, noise: Tensor) -> Tensor:
        begin = 0 if self._before is None else len(self._before)
        end = noise.shape[2] - (0 if self._after is None else len(self._after))
        parts = [noise[:, :, begin:end]]
        if self._before is not None:
            parts.insert(0, averaged(self._before.predictions[step], noise[:, :, :begin]))
        if self._after is not None:
            parts.append(averaged(noise[:, :, end:], self._after.predictions[step]))
        return torch.cat(parts, dim=2)


def averaged(earlier: Tensor, later: Tensor) -> Tensor:
    """earlier, later: (1, c, o, r, r), the same frames in two chunks -> their average by a ramp.

    The share of the later chunk rises from 1 / (o + 1) to o / (o + 1).
    """
    count = earlier.shape[2]
    share = torch.arange(1, count + 1, device=earlier.device, dtype=earlier.dtype) / (count + 1)
    return earlier + share[:, None, None] * (later - earlier)
