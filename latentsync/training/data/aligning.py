"""Aligned copies of videos that are not aligned yet, for a trial with few of them.

scripts.prepare_data does far more: it cuts, sorts out and measures. This takes a video of 25 frames
a second with one face in every frame as it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from latentsync.errors import FaceNotFoundError, MediaError
from latentsync.geometry import extract, square
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.writer import VideoWriter
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.tone import sdr
from latentsync.training.data.cache import content_hash
from latentsync.training.data.listing import Clip
from latentsync.types import Alignment

_CRF = 12
_VERSION = 1  # of how they are made


def aligned_clips(clips: list[Clip], side: int, cache: Path) -> list[Clip]:
    """The clips, with a copy in the cache in place of each that is not square.

    side: of the copies [pixels]. Takes about as long as the videos. Raises MediaError: a video
    without a face in some frame, or of another frame rate.
    """
    return [_aligned(clip, side, cache) for clip in clips]


def _aligned(clip: Clip, side: int, cache: Path) -> Clip:
    file = clip.file(cache)
    info = probe(file)
    if info.width == info.height:
        return clip
    target = cache / "aligned" / f"{content_hash(file)}-{side}-{_VERSION}.mp4"
    if not target.is_file():
        _write(file, target, side)
    return Clip(clip.name, target)


def _write(source: Path, target: Path, side: int) -> None:
    alignments = _alignments(source)
    info = probe(source)
    settings = EncodeSettings(codec="libx264", crf=_CRF, pix_fmt="yuv420p")
    with VideoWriter(target, info, settings, size=(side, side)) as writer:
        for frame, alignment in zip(VideoReader(info), alignments, strict=True):
            crop = aligned_crop(sdr(frame).pixels, alignment.matrix, side)
            writer.write(replace(frame, pixels=crop, alpha=None, carrier=None))


def aligned_crop(pixels: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB, (2, 3) frame -> aligned crop -> (side, side, 3) uint8: what the
    generator would be given, see geometry.extract."""
    to_square = square(side) @ np.vstack([matrix, [0, 0, 1]])
    levels = (extract(pixels, to_square, (side, side)).numpy() + 1) * 127.5
    return np.ascontiguousarray(levels.round().astype(np.uint8).transpose(1, 2, 0))


def _alignments(source: Path) -> list[Alignment]:
    try:
        with Session(Engine(load_config()), source) as session:
            found = session.observe().of_largest().alignments
    except FaceNotFoundError:
        found = []
    aligned = [one for one in found if one is not None]
    if not aligned or len(aligned) < len(found):
        remedy = "make clips with scripts.prepare_data, which leaves such frames out"
        raise MediaError("a face is not seen in every frame", source, remedy)
    return aligned
