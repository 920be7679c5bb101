"""Detail: the restorer without weights. It sharpens a blurry mouth to match the rest of the face.

Adaptive deconvolution with a Wiener filter: the inverse of the blur of the mouth relative to the
rest of the face, limited where an image as sharp as that rest would not rise above the noise. It
aims at the sharpness of the eyes, adds no generated detail, and leaves sharp mouths unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from latentsync.restoration.sharpness import blur_widths

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import RestoreConfig

MAX_GAIN = 2.5
"""Limit of the gain: frequencies that have lost more lie in the codec's noise."""

# Lips and cheeks naturally have less fine detail: an original mouth is blurrier than the eyes by up
# to this (in variance, relative to the rest; 0 to 1.1 on four faces). Only the excess is restored.
_NATURAL_EXCESS = 1.2
# Noise to signal, in power, at 0.1 cycles per blur width of the rest. Chosen on a real clip: the
# best compromise between 3x downscaling, blur and JPEG, as they are and after an encode.
_NOISE_TO_SIGNAL = 0.005
# Added detail below this local size is noise rather than edge: two 8-bit code values.
_CORE = 2 / 127.5
_CORE_WINDOW = 4.0  # pixels, sigma
_BORDER = 24  # pixels of reflection around the box: the filter reaches some 10
_LUMA = (0.299, 0.587, 0.114)  # Rec. 601, as the sharpness is measured

_Transfer = Callable[[torch.Tensor], torch.Tensor]


class Detail:
    """Raises the fine bands of the luma; colour is unchanged. Deterministic, on the CPU.

    Calling it before tuned() raises RuntimeError.
    """

    name = "Detail"
    size: int | None = None

    def __init__(self, lost: float | None = None, rest: float = 1.0) -> None:
        """lost: sigma, pixels, of the blur to invert (0: none). rest: of the rest of the face."""
        self.lost, self.rest = lost, rest

    def tuned(self, energies: np.ndarray) -> Detail:
        """energies: (F, 2, BANDS), all frames of one track -> Detail for the whole track.

        Frames without a measurement (nan) are ignored; without any, the input is unchanged.
        """
        known = energies[~np.isnan(energies).any((1, 2))]
        if not len(known):
            return Detail(lost=0.0)
        mouth, rest = blur_widths(np.exp(np.median(np.log(np.maximum(known, 1e-6)), axis=0)))
        lost = float(mouth**2 - (1 + _NATURAL_EXCESS) * rest**2)
        return Detail(lost=max(lost, 0.0) ** 0.5, rest=float(rest))

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        """faces: (N, 3, h, w) float RGB [-1, 1], mouths at the frame's own scale -> the same."""
        if self.lost is None:
            raise RuntimeError("Detail is not tuned; call tuned(energies) first")
        if self.lost == 0.0:
            return faces.clone()
        lost = self.lost
        luma = torch.einsum("nchw,c->nhw", faces, faces.new_tensor(_LUMA))
        added = _cored(_filtered(luma, lambda square: _gain_minus_one(square, lost, self.rest)))
        return (faces + added[:, None]).clamp(-1, 1)


def load(_config: RestoreConfig, _execution: Execution) -> Detail:
    """The loader in the table RESTORERS. There are no weights; it runs on the CPU."""
    return Detail()


def _gain_minus_one(square: torch.Tensor, lost: float, rest: float) -> torch.Tensor:
    """Gain - 1 of the Wiener filter for a 1/f image, at squared frequencies, (cycles / pixel)^2."""
    passed = torch.exp(-2 * (np.pi * lost) ** 2 * square)
    widths = rest**2 * square / 0.01
    noise = _NOISE_TO_SIGNAL * widths * torch.exp(0.04 * np.pi**2 * (widths - 1))
    return (passed / (passed**2 + noise)).clamp(1, MAX_GAIN) - 1


def _filtered(images: torch.Tensor, transfer: _Transfer) -> torch.Tensor:
    """images: (N, h, w) float -> the same, each frequency times transfer(its square)."""
    height, width = images.shape[-2:]
    top, left = min(_BORDER, height - 1), min(_BORDER, width - 1)
    padded = functional.pad(images, (left, left, top, top), mode="reflect")
    size = padded.shape[-2:]
    down = torch.fft.fftfreq(size[0], device=images.device) ** 2
    across = torch.fft.rfftfreq(size[1], device=images.device) ** 2
    spectrum = torch.fft.rfft2(padded) * transfer(down[:, None] + across)
    return torch.fft.irfft2(spectrum, s=size)[:, top : top + height, left : left + width]


def _cored(added: torch.Tensor) -> torch.Tensor:
    """Keeps the detail of edges; that of flat skin is codec noise."""
    local = _filtered(added**2, lambda f2: torch.exp(-2 * (np.pi * _CORE_WINDOW) ** 2 * f2))
    strong = local.clamp_min(0) ** 2
    return added * strong / (strong + _CORE**4)
