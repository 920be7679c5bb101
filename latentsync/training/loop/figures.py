"""Figures of a validation, whose failure ends no training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from latentsync.errors import Cancelled, LatentSyncError

logger = logging.getLogger(__name__)

Validate = Callable[[Path, int], Mapping[str, Any]]
"""Weights, step -> figures."""
FAILURES = (LatentSyncError, RuntimeError, OSError, ValueError, LookupError, ArithmeticError)
"""What a validation may fail with; PyTorch's lack of memory is a RuntimeError."""


def runs_the_model(validate: Validate | None) -> bool:
    """Whether it runs the network that trains, and reads no file of weights."""
    return bool(getattr(validate, "runs_the_model", False))


def figures_of(validate: Validate, weights: Path, step: int) -> Mapping[str, Any]:
    """Nothing where it is cancelled; where it fails, that is logged, and what it says is given."""
    try:
        return validate(weights, step)
    except Cancelled:
        return {}
    except FAILURES as error:
        said = " ".join(str(error).split()) or type(error).__name__
        bug = not isinstance(error, LatentSyncError)
        what = "validation of step %d failed, training goes on: %s"
        logger.warning(what, step, said, exc_info=bug)
        return {"failed": said}
