"""Prevents side effects of libraries: messages on stderr, and telemetry.

For commands only: the library itself changes nothing in its process.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

HARMLESS_WARNINGS = (
    r"Image size .* exceeds limit",  # Pillow's, below the size that it refuses
    r".*(trace to be incorrect|as constants in the trace)",  # torch.jit: intended
)
"""Regular expressions for the beginnings of warnings to ignore."""


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Wraps a whole command; enter it before importing openvino, huggingface_hub."""
    # The hub library's warnings are harmless, or covered by our own errors.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("SVT_LOG", "1")  # errors only, of the AV1 encoder
    warnings.filterwarnings("ignore", module="huggingface_hub")
    for beginning in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", beginning)
    if "openvino" not in sys.modules:  # disables OpenVINO telemetry
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    yield


def no_usage_report() -> None:
    """Ray's to its makers, of what is started from here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
