"""Detail: the restorer without weights. It gives a degraded mouth back the detail that it lost.

A Wiener filter undoes the blur that the gate has measured in the edges of the lips, limited where
the detail of such a mouth would not rise above the noise. It is applied until the mouth has the
fine energy that it is expected to have had, and never further. A mouth that is not known to be
degraded is left nearly unchanged, even where it is restored by force; no detail is invented.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional

from latentsync.restoration.mouth_blur import TrackBlur
from latentsync.restoration.sharpness import LUMA, band_filters

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import RestoreConfig

MAX_GAIN = 3.0
"""Limit of the gain at a frequency: those that have lost more lie in the codec's noise."""
MAX_ENERGY = 2.6
"""Limit of the fine energy after, over before: what has lost more cannot be brought back."""
_AIM = 1.35
"""Of the energy that is missing: the mask's border and the coring take some of it away again."""

_FINE_BANDS = 2  # of sharpness.BANDS: below a Gaussian of 2 pixels
_LEAST_LOST = 0.7  # pixels, sigma: less is not told from none
_NOISE_TO_SIGNAL = 0.005  # in power, where a mouth of sharp edges has 0.1 cycles a pixel
_MAX_AMOUNT = 3.0
# Added detail below this local size is noise rather than edge: one 8-bit code value.
_CORE = 1 / 127.5
_CORE_WINDOW = 4.0  # pixels, sigma
_BORDER = 24  # pixels of reflection around the box: the filter reaches some 10
_LARGE = 300_000  # pixels: a larger box gets a wider border, of a size that transforms fast


class Detail:
    """Raises the fine bands of the luma; colour is unchanged. Deterministic, on the CPU.

    Calling it before tuned() raises RuntimeError.
    """

    name = "Detail"
    network = False
    size: int | None = None

    def __init__(
        self, amount: float | None = None, lost: float = 0.0, expected: float = 1.0
    ) -> None:
        """amount: of the filter's change that is added, 0: none. lost: sigma, pixels, of the blur
        that it undoes. expected: sigma of the edges of the restored mouth."""
        self.amount, self.lost, self.expected = amount, lost, expected

    def tuned(self, energies: np.ndarray, blur: TrackBlur) -> Detail:
        """energies: (F, 2, BANDS), all frames of one track; blur: of its mouths -> Detail for the
        whole track. Where either was not measured, the input is unchanged."""
        known = energies[~np.isnan(energies).any((1, 2))]
        if not len(known) or np.isnan(blur.left) or blur.left == 1:
            return Detail(amount=0.0)
        lost = max(blur.lost, _LEAST_LOST)
        mouth = np.exp(np.median(np.log(np.maximum(known[:, 0], 1e-6)), axis=0))
        goal = min(1 + _AIM * (1 / blur.left - 1), MAX_ENERGY)
        return Detail(_amount(mouth, lost, blur.expected, goal), lost, blur.expected)

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        """faces: (N, 3, h, w) float RGB [-1, 1], mouths at the frame's own scale -> the same."""
        if self.amount is None:
            raise RuntimeError("Detail is not tuned; call tuned(energies, blur) first")
        if self.amount == 0.0:
            return faces.clone()
        luma = torch.einsum("nchw,c->nhw", faces, faces.new_tensor(LUMA))
        change = _cored(_filtered(luma, self.lost, self.expected)) * self.amount
        return (faces + change[:, None]).clamp_(-1, 1)


def load(_config: RestoreConfig, _execution: Execution) -> Detail:
    """The loader in the table RESTORERS. There are no weights; it runs on the CPU."""
    return Detail()


def _amount(mouth: np.ndarray, lost: float, expected: float, goal: float) -> float:
    """Of the filter's change, what multiplies the fine energy by the goal.

    mouth: (BANDS,) band energies of the mouth as it is.
    """
    frequency = np.linspace(0.001, 0.5, 500)
    change = _gain_minus_one(torch.from_numpy(frequency**2), lost, expected).numpy()
    # What a natural mouth that is blurred so has in each band; within a band only its slope counts.
    spectrum = np.exp(-4 * np.pi**2 * (lost**2 + expected**2) * frequency**2) * frequency**-1.5
    bands = band_filters(frequency)[:_FINE_BANDS] * spectrum
    shares = mouth[:_FINE_BANDS, None] * bands / bands.sum(axis=1, keepdims=True)
    energy, cross, square = (float((shares * change**n).sum()) for n in range(3))
    root = np.sqrt(cross**2 + square * energy * (goal - 1))
    return float(np.clip((root - cross) / square, 0, _MAX_AMOUNT))


def _gain_minus_one(square: torch.Tensor, lost: float, expected: float) -> torch.Tensor:
    """Gain - 1 of the Wiener filter, at squared frequencies, (cycles / pixel)^2."""
    passed = torch.exp(-2 * (np.pi * lost) ** 2 * square)
    edges = torch.exp(-4 * (np.pi * expected) ** 2 * square)
    noise = _NOISE_TO_SIGNAL * (square / 0.01) / edges
    return (passed / (passed**2 + noise)).clamp(1, MAX_GAIN) - 1


def _filtered(images: torch.Tensor, lost: float, expected: float) -> torch.Tensor:
    """images: (N, h, w) float -> the same, what the Wiener filter adds to them."""
    height, width = images.shape[-2:]
    top, bottom = _borders(height, large=height * width > _LARGE)
    left, right = _borders(width, large=height * width > _LARGE)
    padded = functional.pad(images, (left, right, top, bottom), mode="reflect")
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded)
    spectrum *= _transfer(*size, lost, expected).to(images.device)
    return torch.fft.irfft2(spectrum, s=size)[:, top : top + height, left : left + width]


@lru_cache(maxsize=4)  # the mouths of a track all have one size; 3 MB of a large one
def _transfer(height: int, width: int, lost: float, expected: float) -> torch.Tensor:
    """(height, width // 2 + 1): gain - 1 at the frequencies of rfft2; not to be changed."""
    down, across = torch.fft.fftfreq(height) ** 2, torch.fft.rfftfreq(width) ** 2
    return _gain_minus_one(down[:, None] + across, lost, expected)


def _borders(length: int, *, large: bool) -> tuple[int, int]:
    """Pixels before and after. A length with a large prime factor takes up to four times as long;
    of a small box all is quick, and its results are kept as they are."""
    border = min(_BORDER, length - 1)
    fast = cv2.getOptimalDFTSize(length + 2 * border) if large else length + 2 * border
    return border, min(fast - length - border, length - 1)


def _cored(added: torch.Tensor) -> torch.Tensor:
    """Keeps the detail of edges; that of flat skin is codec noise."""
    squares = added.square().cpu().numpy()
    local = np.stack([cv2.GaussianBlur(one, (0, 0), _CORE_WINDOW) for one in squares])
    strong = torch.from_numpy(local).to(added.device).square_()
    return added * strong / strong.add(_CORE**4)
