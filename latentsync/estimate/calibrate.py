"""Estimates the cost of generating mouths on this machine, in seconds and without the weights."""

from __future__ import annotations

import logging
from functools import reduce
from operator import add

import numpy as np
import torch

from latentsync.errors import ConfigError
from latentsync.estimate.cost import Cost, timed
from latentsync.face.masks import upstream_mask
from latentsync.generate.table import generator_kind
from latentsync.generate.timing import Sample
from latentsync.geometry import square
from latentsync.runtime import cache
from latentsync.runtime.execution import Execution
from latentsync.settings.schema import Config
from latentsync.tone import extract_levels
from latentsync.types import Alignment, Frame

logger = logging.getLogger(__name__)

STAGE = "generate"
TIMES = 2  # timed runs, after one warm-up


def generation_cost(config: Config, execution: Execution, frame: Frame, face: Alignment) -> Cost:
    """Cost of one frame's new mouth. face: of the frame.

    Raises ConfigError: a plug-in generator, whose cost is unknown.
    """
    kind = generator_kind(config)
    if kind.trials is None:
        remedy = "this generator does not say what its time is estimated from; run without it"
        raise ConfigError("--dry-run with generate.name", config.generate.name, remedy)
    if kind.network:
        logger.info("timing networks like the generator's on this machine; up to a minute")

    def crop(size: int) -> torch.Tensor:
        matrix = square(size) @ np.vstack([face.matrix, [0, 0, 1]])
        return extract_levels(frame, matrix, (size, size))

    costs = []
    for trial in kind.trials(config, execution, Sample(face, crop, upstream_mask)):
        trial.run()
        costs.append(timed(STAGE, trial.run, 1, times=TIMES) * trial.per_frame)
    return reduce(add, costs)


def is_converted(name: str, execution: Execution) -> bool:
    """Whether the networks of that name are converted already, or need no conversion.

    Only the name is checked: other weights or versions are converted again.
    """
    if execution.backend != "openvino" or not name:
        return True
    abouts = (path.read_text("utf-8") for path in cache.folder().glob(f"*/{cache.ABOUT}"))
    return any(name in about for about in abouts)
