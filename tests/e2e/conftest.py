"""The real command on small real videos: a few frames of the demo clip in many formats."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from latentsync.media.reader import VideoReader
from scripts.inference import main

DEMO = Path(__file__).parents[2] / "assets" / "demo_lipsynced.mp4"


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def demo_frames() -> list[np.ndarray]:
    """12 frames (340, 360, 3) uint8 RGB: a talking face with a blurred mouth."""
    reader = VideoReader(DEMO, start=20, stop=32)
    return [np.ascontiguousarray(frame.pixels[90:430, 140:500]) for frame in reader]


@pytest.fixture(scope="session")
def run() -> Callable[..., Outcome]:
    """Runs ``python -m scripts.inference`` in this process."""

    def run_command(*arguments: object) -> Outcome:
        code = None
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as stop:
                code = stop.code
        return Outcome(int(code or 0), out.getvalue(), err.getvalue())

    return run_command
