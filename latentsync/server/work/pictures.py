"""The pictures of a preview: PNGs of a frame and of its mouth, and what happens to it in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from latentsync.errors import LatentSyncError
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.preview import (
    AROUND,
    WORDS,
    Place,
    Preview,
    enlarged,
    mouth_place,
    state,
    write_png,
)
from latentsync.pipeline.source import source_of
from latentsync.server.quick.task_results import error_view
from latentsync.server.views import PictureView, PreviewView
from latentsync.tone import sdr
from latentsync.types import Frame

WIDEST = 1280
"""Pixels of a frame's width, at most."""
MOUTH = (2 * int(AROUND[0]), 2 * int(AROUND[1]))
"""Width and height of an enlarged mouth, pixels."""
BEFORE = "before"


class Made(NamedTuple):
    """What one restorer makes of a moment, and the plan behind it."""

    preview: Preview
    plan: RenderPlan


def written(
    made: Mapping[str, Made | LatentSyncError],
    info: VideoInfo,
    seconds: float,
    folder: Path,
    public: Callable[[str], str],
) -> PreviewView:
    """Writes the pictures. made: by restorer, at least one. public: see task_results.error_view."""
    first = next((one for one in made.values() if isinstance(one, Made)), None)
    place = None if first is None else mouth_place(first.plan, first.preview.index)
    filmed = _filmed(info, seconds) if first is None else first.preview.before
    after = []
    for number, (name, one) in enumerate(made.items(), 1):
        if isinstance(one, Made):
            why = WORDS[state(one.plan, one.preview.index)]
            files = _written(one.preview.after, place, folder, f"after-{number}")
            after.append(PictureView(name, *files, why))
        else:
            after.append(PictureView(name, None, None, "", error_view(one, public)))
    before = PictureView("", *_written(filmed, place, folder, BEFORE), "as filmed")
    return PreviewView(filmed.pts_seconds, before, tuple(after))


def _written(frame: Frame, place: Place | None, folder: Path, name: str) -> tuple[str, str | None]:
    """Names of the files: the frame, and its mouth if there is a face."""
    pixels = sdr(frame).pixels
    whole, mouth = f"{name}.png", f"{name}-mouth.png"
    write_png(folder / whole, _narrow(pixels))
    if place is None:
        return whole, None
    write_png(folder / mouth, enlarged(pixels, place, MOUTH))
    return whole, mouth


def _filmed(info: VideoInfo, seconds: float) -> Frame:
    """The frame of the video at that second, or its last one."""
    last: Frame | None = None
    for frame in source_of(info):
        if last is not None and frame.pts_seconds > seconds:
            break
        last = frame
    assert last is not None  # it was analyzed
    return last


def _narrow(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3): at most WIDEST wide."""
    height, width = pixels.shape[:2]
    if width <= WIDEST:
        return pixels
    size = WIDEST, max(1, round(height * WIDEST / width))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
