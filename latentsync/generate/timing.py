"""What the time of a generator is estimated from: without its weights, on this machine.

The operations of a network are counted, and the speed of the machine is measured with a small
network of the same layers, run by the same backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from latentsync.generate.coding import CHANNELS
from latentsync.generate.model_spec import LATENT_STEP
from latentsync.generate.vae import DESIGNS, Design
from latentsync.runtime.execution import Execution
from latentsync.runtime.unsaved import runner
from latentsync.types import Alignment
from latentsync.weights.model_file import ModelFile

MUCH = 1e12  # operations; a network with more is timed by a smaller one
SMALL_SIDE = 16  # of the latents that the VAE is timed with


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Work that is timed. run: returns when it is done. per_frame: how often a generated frame
    needs it."""

    run: Callable[[], object]
    per_frame: float


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame with a face. crop: R -> (3, R, R) float32 RGB [-1, 1], its aligned crop. mask: R ->
    (R, R), see table.load_generator."""

    face: Alignment
    crop: Callable[[int], Tensor]
    mask: Callable[[int], np.ndarray]


def network_trial(
    module: nn.Module,
    inputs: Sequence[Tensor],
    per_frame: float,
    execution: Execution,
) -> Trial:
    """Of a network with initial weights."""
    run = runner(module.eval().requires_grad_(False), inputs, execution)

    def act() -> None:
        run(*inputs)[0].flatten()[0].item()  # waits until a GPU is done

    return Trial(act, per_frame)


def coding_trial(
    vae: ModelFile, side: int, execution: Execution, *, encoded: float = 0, decoded: float = 0
) -> Trial:
    """Of the VAE, by its decoder at a small size.

    vae: see model_spec.vae_wanted. side: of the latents. encoded, decoded: images for each
    generated frame.
    """
    design = DESIGNS[vae.key]
    encoding, decoding = _coding_work(design, side)
    with torch.device(execution.device):  # initialising a large network is fast there
        network = design.make()
    latents = torch.randn(1, CHANNELS, SMALL_SIDE, SMALL_SIDE)
    share = (encoded * encoding + decoded * decoding) / _coding_work(design, SMALL_SIDE)[1]
    return network_trial(design.decoder.of(network), (latents,), share, execution)


def work(act: Callable[[], object]) -> int:
    """Floating-point operations of act; a multiplication and its addition are two."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        act()
    return counter.get_total_flops()


def _coding_work(design: Design, side: int) -> tuple[int, int]:
    """Operations of the VAE to encode, and to decode, one image. side: of the latents."""
    pixels = side * LATENT_STEP
    with torch.device("meta"):
        vae = design.make()
        image, latents = torch.empty(1, 3, pixels, pixels), torch.empty(1, CHANNELS, side, side)
    return work(lambda: vae.encode(image)), work(lambda: vae.decode(latents))
