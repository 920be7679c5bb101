"""What the time of MuseTalk is estimated from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from latentsync.generate.model_spec import LATENT_STEP, vae_wanted
from latentsync.generate.musetalk.kind import SIZE
from latentsync.generate.musetalk.network import STRUCTURE, OneStep, examples, make_unet
from latentsync.generate.timing import Sample, Trial, coding_trial, network_trial, work

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config

SIDE = SIZE // LATENT_STEP
SMALLER = {
    "block_out_channels": [640],
    "down_block_types": ["CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D"],
    "layers_per_block": 1,
}
"""The U-Net's second level, on half the side."""


def trials(config: Config, execution: Execution, _sample: Sample) -> list[Trial]:
    """One step of the U-Net; a frame is encoded once, as references are few, and decoded once."""
    with torch.device("meta"):
        whole, inputs = OneStep(make_unet()), [one.to("meta") for one in examples(1, SIDE)]
    operations = work(lambda: whole(*inputs))
    with torch.device(execution.device):
        small = OneStep(make_unet(STRUCTURE | SMALLER))
    given = examples(1, SIDE // 2)
    done = work(lambda: small(*(one.to(execution.device) for one in given)))
    step = network_trial(small, given, operations / done, execution)
    vae, _ = vae_wanted(config)
    return [step, coding_trial(vae, SIDE, execution, encoded=1, decoded=1)]
