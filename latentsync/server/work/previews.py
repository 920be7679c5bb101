"""One moment of the output before and after, with several restorers side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from latentsync.errors import Cancelled, LatentSyncError
from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.preview import (
    AROUND,
    WORDS,
    Preview,
    enlarged,
    index_at,
    mouth_place,
    state,
    write_png,
)
from latentsync.pipeline.purpose import check_purpose
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import source_of
from latentsync.server.task_results import error_view
from latentsync.server.views import PictureView, PreviewView
from latentsync.server.work.asked import Asked
from latentsync.server.work.here import Here, Seen
from latentsync.server.work.people import as_watched
from latentsync.settings.load import config_of
from latentsync.settings.schema import Config
from latentsync.tone import sdr
from latentsync.types import Frame

WIDEST = 1280
"""Pixels of a frame's width, at most."""
MOUTH = (2 * int(AROUND[0]), 2 * int(AROUND[1]))
"""Width and height of an enlarged mouth, pixels."""
NONE = "none"
_WATCHED = 0.5  # share of the request at which pass 1 has ended


class _Made(NamedTuple):
    """One restorer's frame, and the plan behind it."""

    preview: Preview
    plan: RenderPlan


def preview_of_request(asked: Asked, here: Here) -> dict[str, Any]:
    """See process.py. A restorer that cannot be used is an error of its own picture only.

    Raises what Session.observe raises, and what is wrong with all of several restorers.
    """
    config = config_of(asked.arguments["config"])
    seconds = float(asked.arguments["seconds"])
    names = tuple(asked.arguments["restorers"]) or (config.restore.name,)
    info = probe(str(config.input.video))
    with here.analyses.of(config, asked.check) as seen, here.turn.first():
        _watch(config, info, asked, here, seen)
        made: dict[str, _Made | LatentSyncError] = {}
        for number, name in enumerate(names):
            share = _WATCHED + (1 - _WATCHED) * number / len(names)
            asked.reach(share, f"preview with {name}")
            made[name] = _tried(config, name, seconds, asked, here, seen)
    _check_any(list(made.values()))
    return asdict(_written(made, info, seconds, asked.folder, here.public))


def _check_any(made: Sequence[_Made | LatentSyncError]) -> None:
    """What is the same for all is not a restorer's error: of the speech, or of the generator."""
    first = made[0]
    if len(made) > 1 and isinstance(first, LatentSyncError) and len(set(map(str, made))) == 1:
        raise first


def _watch(config: Config, info: VideoInfo, asked: Asked, here: Here, seen: Seen) -> None:
    """Pass 1, unless it was made before."""
    if seen.analysis is None:
        watched = replace(as_watched(config), compat=config.compat)
        session = Session(here.engines.of(watched), info, config=watched)
        with asked.uses(session):
            seen.analysis = session.observe(asked.progress(0.0, _WATCHED))


def _tried(
    config: Config, name: str, seconds: float, asked: Asked, here: Here, seen: Seen
) -> _Made | LatentSyncError:
    try:
        return _made(config, name, seconds, asked, here, seen)
    except Cancelled:
        raise
    except LatentSyncError as error:
        return error


def _made(config: Config, name: str, seconds: float, asked: Asked, here: Here, seen: Seen) -> _Made:
    config = with_restorer(config, name)
    if name != NONE:
        check_purpose(config)
    engine, given = here.engines.of(config), config.input
    session = Session(
        engine, str(given.video), audio=given.audio, config=config, observed=seen.analysis
    )
    with asked.uses(session):
        index = index_at(session.plan, seconds)
        return _Made(session.preview([index])[0], session.plan)


def with_restorer(config: Config, name: str) -> Config:
    """What belongs to another restorer only is left out."""
    if name.lower() == config.restore.name.lower():
        return config
    return replace(
        config, restore=replace(config.restore, name=name, checkpoint=None, fidelity=None)
    )


def _written(
    made: dict[str, _Made | LatentSyncError],
    info: VideoInfo,
    seconds: float,
    folder: Path,
    public: Callable[[str], str],
) -> PreviewView:
    """public: see task_results.error_view."""
    first = next((one for one in made.values() if isinstance(one, _Made)), None)
    place = None if first is None else mouth_place(first.plan, first.preview.index)
    filmed = _filmed(info, seconds) if first is None else first.preview.before

    def picture(name: str, file: str, frame: Frame, why: str) -> PictureView:
        pixels, mouth = sdr(frame).pixels, None
        write_png(folder / f"{file}.png", _narrow(pixels))
        if place is not None:
            mouth = f"{file}-mouth.png"
            write_png(folder / mouth, enlarged(pixels, place, MOUTH))
        return PictureView(name, f"{file}.png", mouth, why)

    after = []
    for number, (name, one) in enumerate(made.items(), 1):
        if isinstance(one, _Made):
            why = WORDS[state(one.plan, one.preview.index)]
            after.append(picture(name, f"after-{number}", one.preview.after, why))
        else:
            after.append(PictureView(name, None, None, "", error_view(one, public)))
    before = picture("", "before", filmed, "as filmed")
    return PreviewView(filmed.pts_seconds if first is None else seconds, before, tuple(after))


def _filmed(info: VideoInfo, seconds: float) -> Frame:
    """The frame of the video at that second, or its last one."""
    last = None
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
