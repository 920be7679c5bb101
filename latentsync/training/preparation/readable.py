"""Steps `readable` and `rate`: what a file is, before its frames are read."""

from __future__ import annotations

from latentsync.errors import LatentSyncError
from latentsync.media.probe import VideoInfo
from latentsync.training.preparation.manifest import (
    DROPPED,
    FRAME_RATE,
    WHOLE,
    Judged,
    Piece,
)
from latentsync.training.preparation.settings import PreparationSettings

LONGEST_FRAME = 1.0
"""Frames a second below which a header is not believed."""


def whole(info: VideoInfo) -> Piece:
    """The source as a piece; as long as its header says."""
    rate = max(float(info.average_rate), LONGEST_FRAME)
    return Piece(WHOLE, 0, max(1, round(info.frame_count / rate * FRAME_RATE)))


def judge_readable(info: VideoInfo) -> Judged:
    """By the header; damage further on is judged when the frames are read."""
    piece = whole(info)
    figures = {"width": info.width, "height": info.height, "fps": float(info.average_rate)}
    if info.picture is not None:
        return Judged(piece, DROPPED, "it is a still picture", figures)
    if not info.audio:
        return Judged(piece, DROPPED, "the video has no audio", figures)
    if info.interlaced:
        how = "deinterlace it first: ffmpeg -i IN -vf bwdif -crf 13 OUT"
        return Judged(piece, DROPPED, f"it is interlaced; {how}", figures)
    return Judged(piece, figures=figures)


def judge_issues(piece: Piece, issues: str | None, *, keep: bool) -> Judged:
    """After all frames were read. issues: see VideoReader. keep: what could be read is used."""
    if issues is None:
        return Judged(piece)
    if keep:
        return Judged(piece, reason=f"damaged, and used as it is: {issues}")
    return Judged(piece, DROPPED, f"{issues} (--keep_damaged uses what can be read)")


def judge_rate(piece: Piece, info: VideoInfo, settings: PreparationSettings) -> Judged:
    rate = float(info.average_rate)
    if rate < settings.min_fps - 0.01:
        reason = f"{rate:.3g} frames a second are too few: --min_fps {settings.min_fps:g}"
        return Judged(piece, DROPPED, reason, {"fps": rate})
    same = abs(rate - FRAME_RATE) < 1e-3
    return Judged(piece, reason="" if same else f"{rate:.6g} to 25 fps", figures={"fps": rate})


def reason_of(error: LatentSyncError) -> str:
    """In one line, without the path, which the row has already."""
    what, remedy = getattr(error, "what", None), getattr(error, "remedy", None)
    text = str(error) if what is None or remedy is None else f"{what}; {remedy}"
    return " ".join(text.split())[:300]
