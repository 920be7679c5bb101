"""A copy of a video that every browser plays: H.264 of 8 bits with AAC, small and quick to seek."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from latentsync.curves import rounded_curve
from latentsync.errors import MediaError
from latentsync.media.avframe import PROGRESSIVE, FrameFilter
from latentsync.media.color import HDR_TRANSFERS, Conversion, FromRgb, ToRgb, output_tags
from latentsync.media.container import DecodeIssues
from latentsync.media.decoder import Decoding
from latentsync.media.hdr import HdrMetadata
from latentsync.media.orientation import Orientation
from latentsync.media.probe import VideoInfo, probed
from latentsync.media.settings import EncodeSettings
from latentsync.media.target import check_target
from latentsync.media.writer import VideoWriter

_ENCODER = EncodeSettings("libx264", crf=23, preset="veryfast", pix_fmt="yuv420p", audio="aac")
_SEEKABLE = 1.0  # seconds from one key frame to the next
_AREA = 0x20  # of the scaler: each pixel is the mean of those that it stands for

_CODECS = {"h264": 8, "vp8": 8, "vp9": 10, "av1": 10}
"""Codec -> the most bits per channel that browsers decode."""
_CONTAINERS = {"mov,mp4": ("h264", "vp9", "av1"), "matroska,webm": ("vp8", "vp9", "av1")}
"""Beginning of FFmpeg's name of a format -> the codecs that browsers take in it."""
_CHROMA = ("yuv420p", "yuvj420p", "yuv420p10le")
_AUDIO = {"aac", "mp3", "opus", "vorbis", "flac"}
_PICTURES = {"jpeg", "png", "webp", "bmp"}


def plays_in_browser(info: VideoInfo) -> bool:
    """Whether Chromium, Firefox and Safari show the video or picture as it is, with its audio.

    HDR does not count as shown: what a browser makes of it depends on the display.
    """
    if info.picture is not None:
        return info.picture.kind in _PICTURES
    named = {} if info.path.suffix.lower() == ".mkv" else _CONTAINERS
    held = next((v for k, v in named.items() if info.format_name.startswith(k)), ())
    decoded = info.bit_depth <= _CODECS.get(info.codec, 0) and info.pix_fmt in _CHROMA
    heard = all(audio.codec in _AUDIO for audio in info.audio[:1])
    return info.codec in held and decoded and heard and info.color.transfer not in HDR_TRANSFERS


def write_proxy(
    source: Path | VideoInfo,
    target: Path,
    *,
    height: int = 720,
    progress: Callable[[float], None] = lambda _share: None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Writes an MP4 with the source's frames, upright and in SDR, and its first audio.

    Every frame keeps its time. height: pixels, of the shorter side at most. progress: gets the
    share that is done, 0 to 1. check: called for each frame, may raise to end the work; then, and
    after any other error, nothing is left. Raises MediaError as probe and VideoWriter do.
    """
    info = probed(source)
    if info.picture is not None:
        raise MediaError("a picture has no video copy", info.path, "show the picture itself")
    made = _described(info, _fitted(info, height))
    convert, size = _Shown(info, made), (made.width, made.height)
    plan = replace(check_target(target, made, _ENCODER, size=size), notes=(), carried="")
    key = 0.0
    with (
        Decoding(info, DecodeIssues()) as decoding,
        VideoWriter(target, made, _ENCODER, size=size, plan=plan) as writer,
    ):
        for pts, decoded in decoding.stamped():
            check()
            shown, second = convert(decoded), float(pts * info.time_base)
            shown.pts, shown.time_base = pts, info.time_base
            if second >= key:
                shown.pict_type, key = PictureType.I, second + _SEEKABLE
            writer.write_converted(shown)
            progress(min(second / (info.duration_seconds or second or 1.0), 1.0))


def _fitted(info: VideoInfo, most: int) -> tuple[int, int]:
    """(width, height), even, in the source's proportions: it is never enlarged."""
    shrink = min(1.0, most / min(info.width, info.height))
    width, height = (max(2, round(side * shrink / 2) * 2) for side in (info.width, info.height))
    return width, height


def _described(info: VideoInfo, size: tuple[int, int]) -> VideoInfo:
    """What VideoWriter is to write: upright, of 8 bits, with one audio track and nothing else."""
    tags = output_tags(info.color, info.pix_fmt, *info.stored_size)
    transfer = "bt709" if tags.transfer in HDR_TRANSFERS else tags.transfer
    return replace(
        info,
        width=size[0],
        height=size[1],
        orientation=Orientation(),
        pix_fmt="yuv420p",
        bit_depth=8,
        alpha=False,
        field_order=PROGRESSIVE,
        color=replace(tags, range="tv", transfer=transfer),
        hdr=HdrMetadata(),
        audio=info.audio[:1],
        others=(),
        chapters=(),
        file_metadata={},
        metadata={},
    )


class _Shown:
    """Decoded frames -> frames for the encoder: scaled first, as all else is quicker then."""

    def __init__(self, info: VideoInfo, made: VideoInfo) -> None:
        self._size = info.orientation.upright_size(made.width, made.height)  # before it is turned
        self._turns = _turns(info.orientation)
        self._own = Conversion.of(info.color, info.pix_fmt, *info.stored_size)
        self._scaler = VideoReformatter()
        self._hdr = _FromHdr(info) if info.color.transfer in HDR_TRANSFERS else None

    def __call__(self, decoded: VideoFrame) -> VideoFrame:
        shown = self._hdr(decoded, *self._size) if self._hdr else self._scaled(decoded)
        for turn in self._turns:
            shown = turn(shown)
        return shown

    def _scaled(self, decoded: VideoFrame) -> VideoFrame:
        return self._scaler.reformat(
            decoded,
            *self._size,
            format=_ENCODER.pix_fmt,
            src_colorspace=self._own.matrix,
            dst_colorspace=self._own.matrix,
            src_color_range=self._own.range,
            dst_color_range=ColorRange.MPEG,
            interpolation=_AREA,
        )


class _FromHdr:
    """Decoded HDR frames -> yuv420p as an SDR display shows them."""

    def __init__(self, info: VideoInfo) -> None:
        own = Conversion.of(info.color, info.pix_fmt, *info.stored_size)
        self._to_rgb = ToRgb(own, codec=info.codec, deep=True)
        self._curve = rounded_curve(info.color.transfer)
        limited = replace(own, range=ColorRange.MPEG)
        self._from_rgb = FromRgb(limited, _ENCODER.pix_fmt)

    def __call__(self, decoded: VideoFrame, width: int, height: int) -> VideoFrame:
        return self._from_rgb(self._curve[self._to_rgb(decoded, width, height)])


def _turns(orientation: Orientation) -> list[FrameFilter]:
    """Filters that turn a stored frame upright."""
    wanted = {
        "transpose": orientation.transpose,
        "hflip": orientation.mirror_x,
        "vflip": orientation.mirror_y,
    }
    return [FrameFilter(name) for name, is_wanted in wanted.items() if is_wanted]
