"""The log of a training: a line of JSON for each report, and TensorBoard's files."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

logger = logging.getLogger(__name__)

NAME, BOARD = "log.jsonl", "tensorboard"


class Log:
    """Appends to OUTPUT/log.jsonl; each line stands on its own. step: the first to come, after
    which TensorBoard hides what an earlier run wrote."""

    def __init__(self, output: Path, *, step: int) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self._path = output / NAME
        self._file = self._path.open("a", encoding="utf-8")
        self._board = _board(output / BOARD, step)
        self._failed = False

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, place: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what a full disk did not take is written again here
            self._file.close()
        if self._board is not None:
            self._board.close()

    def line(self, step: int, values: Mapping[str, Any]) -> None:
        """Numbers go to TensorBoard as well. What is not finite is null: JSON has no such word.

        A line that cannot be written is lost, which is said once: the training goes on.
        """
        written = {"time": round(time.time(), 1), "step": step, **values}
        finite = {k: None if _not_finite(v) else v for k, v in written.items()}
        try:
            self._file.write(json.dumps(finite, allow_nan=False) + "\n")
            self._file.flush()
            if self._board is not None:
                for name, value in values.items():
                    if isinstance(value, int | float) and name != "step":
                        self._board.add_scalar(name, value, step)
        except OSError as error:
            if not self._failed:
                logger.warning("the log cannot be written, training goes on: %s", error)
            self._failed = True


def _not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _board(folder: Path, step: int) -> Any:
    """None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("no TensorBoard files: pip install tensorboard (log.jsonl has the figures)")
        return None
    return SummaryWriter(str(folder), purge_step=step, flush_secs=10)
