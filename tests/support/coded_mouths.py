"""A restorer that decides between codes as CodeFormer does, without a network or weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from CodeFormer.parts import best
from CodeFormer.restorer import SteadyCodeFormer
from CodeFormer.steadiness import CodeHysteresis
from latentsync.restoration.base import Moment
from latentsync.runtime.execution import REFERENCE

SIZE, GRID, ENTRIES = 512, 16, 64


class CodedMouths:
    """Adds to each place one of 64 textures; which one, the place's brightness decides."""

    name = "coded mouths"
    size: int | None = SIZE

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        return _painted(faces)

    def steadied(self, margin: float, *, longest: int) -> SteadyCodeFormer:
        codes = CodeHysteresis(margin, longest=longest)
        return SteadyCodeFormer(_painted, REFERENCE, codes)  # type: ignore[arg-type]


def _painted(
    faces: torch.Tensor, choose: Callable[[torch.Tensor], torch.Tensor] = best
) -> torch.Tensor:
    side = SIZE // GRID
    brightness = functional.avg_pool2d(faces.mean(1, keepdim=True), side).flatten(1)
    entries = torch.linspace(-1, 1, ENTRIES)
    codes = choose(-100 * (brightness[..., None] - entries).abs())
    textures = torch.randn((ENTRIES, side * side), generator=torch.manual_seed(0))
    squares = textures[codes].transpose(1, 2)  # (n, side * side, places)
    return (faces + 0.1 * functional.fold(squares, SIZE, side, stride=side)).clamp(-1, 1)


class Moments:
    """Records the moments of its faces; restores nothing."""

    name = "moments"
    size: int | None = SIZE

    def __init__(self) -> None:
        self.tracks: list[list[Moment]] = []
        self.alone = 0

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        self.alone += len(faces)
        return faces

    def steadied(
        self, margin: float, *, longest: int
    ) -> Callable[[torch.Tensor, Sequence[Moment]], torch.Tensor]:
        del margin, longest
        seen: list[Moment] = []
        self.tracks.append(seen)

        def restored(faces: torch.Tensor, moments: Sequence[Moment]) -> torch.Tensor:
            assert len(faces) == len(moments)
            seen.extend(moments)
            return faces

        return restored


def load(_config: object, _execution: object) -> CodedMouths:
    return CodedMouths()
