"""The video encoders: what each writes, where that fits, and whether it works here.

One line of ENCODERS for each. Whether an encoder works on this machine is found by encoding with it
(`refusal`): that a hardware encoder is installed says nothing about the hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
from av.codec.codec import Codec, UnknownCodecError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from latentsync.media.encoder_options import (
    Options,
    Quality,
    ffv1,
    nvenc,
    nvenc_av1,
    prores,
    prores_ks,
    qsv,
    svt_av1,
    videotoolbox,
    x264,
    x265,
)
from latentsync.media.hdr import AMBIENT, CAPTIONS, HDR10_PLUS, HdrMetadata
from latentsync.media.scheduling import scheduling_kept


@dataclass(frozen=True, slots=True)
class VideoEncoder:
    """codec: FFmpeg's name of what it writes. muxers: containers that hold it. formats: pixel
    formats, those that more players take first. options: for FFmpeg, by quality and HDR metadata.

    ignored: which of crf, preset and finer_mouth have no meaning for it. keeps_hdr: whether it
    writes static HDR metadata. full_range: whether what it writes may have full range.
    dynamic: what it takes of the frames' side data, in hdr's words.
    """

    codec: str
    muxers: frozenset[str]
    formats: tuple[str, ...]
    options: Callable[[Quality, HdrMetadata], Options]
    ignored: frozenset[str] = frozenset({"finer_mouth"})
    keeps_hdr: bool = False
    full_range: bool = True
    dynamic: frozenset[str] = frozenset()
    hardware: bool = False


_EVERYWHERE = frozenset({"mp4", "mov", "matroska"})
_AV1_MUXERS = frozenset({"mp4", "matroska", "webm"})
_PRORES_MUXERS = frozenset({"mov", "matroska"})
_NOTHING = frozenset({"crf", "preset", "finer_mouth"})
_PLANAR = tuple(f"yuv{chroma}p" for chroma in (420, 422, 444))
_PLANAR_10, _PLANAR_12, _PLANAR_16 = (
    tuple(f"{name}{depth}le" for name in _PLANAR) for depth in (10, 12, 16)
)
_WITH_ALPHA = tuple(
    name.replace("yuv", "yuva") for name in (*_PLANAR, *_PLANAR_10, *_PLANAR_12[1:], *_PLANAR_16)
)
_RGB = ("bgr0", "bgra", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le", "gbrap10le", "gbrap12le")

ENCODERS: dict[str, VideoEncoder] = {
    "libx264": VideoEncoder(
        "h264",
        _EVERYWHERE,
        (*_PLANAR, *_PLANAR_10),
        x264,
        frozenset(),
        keeps_hdr=True,
        dynamic=frozenset({CAPTIONS}),
    ),
    "libx265": VideoEncoder(
        "hevc",
        _EVERYWHERE,
        (*_PLANAR, *_PLANAR_10, *_PLANAR_12),
        x265,
        frozenset(),
        keeps_hdr=True,
        dynamic=frozenset({CAPTIONS, HDR10_PLUS, AMBIENT}),
    ),
    "libsvtav1": VideoEncoder(
        "av1", _AV1_MUXERS, ("yuv420p", "yuv420p10le"), svt_av1, keeps_hdr=True
    ),
    "prores_ks": VideoEncoder(
        "prores",
        _PRORES_MUXERS,
        ("yuv422p10le", "yuv444p10le", "yuva444p10le"),
        prores_ks,
        _NOTHING,
        full_range=False,
    ),
    "ffv1": VideoEncoder(
        "ffv1",
        frozenset({"matroska"}),
        (*_PLANAR, *_PLANAR_10, *_PLANAR_12, *_PLANAR_16, *_WITH_ALPHA, *_RGB),
        ffv1,
        _NOTHING,
    ),
}
"""The supported encoders that are not hardware, and those that are."""


def _hardware(
    codec: str,
    formats: tuple[str, ...],
    options: Callable[[Quality, HdrMetadata], Options],
    ignored: frozenset[str] = frozenset({"finer_mouth"}),
) -> VideoEncoder:
    holders = {"av1": _AV1_MUXERS, "prores": _PRORES_MUXERS}.get(codec, _EVERYWHERE)
    limited = codec == "prores"
    return VideoEncoder(
        codec, holders, formats, options, ignored, full_range=not limited, hardware=True
    )


_NO_PRESET = frozenset({"preset", "finer_mouth"})
ENCODERS |= {
    "h264_nvenc": _hardware("h264", ("yuv420p", "yuv444p", "p010le"), nvenc),
    "hevc_nvenc": _hardware("hevc", ("yuv420p", "yuv444p", "p010le", "p210le"), nvenc),
    "av1_nvenc": _hardware("av1", ("yuv420p", "p010le"), nvenc_av1),
    "h264_qsv": _hardware("h264", ("nv12",), qsv),
    "hevc_qsv": _hardware("hevc", ("nv12", "p010le"), qsv),
    "av1_qsv": _hardware("av1", ("nv12", "p010le"), qsv),
    "h264_videotoolbox": _hardware("h264", ("yuv420p",), videotoolbox, _NO_PRESET),
    "hevc_videotoolbox": _hardware("hevc", ("yuv420p", "p010le"), videotoolbox, _NO_PRESET),
    "prores_videotoolbox": _hardware("prores", ("p210le",), prores, _NOTHING),
}


def installed() -> tuple[str, ...]:
    """Those of ENCODERS that the installed PyAV has."""
    return tuple(name for name in ENCODERS if _formats_of(name))


def usable_formats(name: str) -> tuple[str, ...]:
    """The encoder's pixel formats that the installed PyAV has; none if it lacks the encoder."""
    return tuple(one for one in ENCODERS[name].formats if one in _formats_of(name))


@cache
def _formats_of(name: str) -> frozenset[str]:
    try:
        return frozenset(f.name for f in Codec(name, "w").video_formats or ())
    except UnknownCodecError:
        return frozenset()


@cache
def refusal(name: str, asked: Quality, size: tuple[int, int]) -> str:
    """Why it encodes no frames of that (width, height) on this machine; "" if it does."""
    try:
        with scheduling_kept():
            made = _encoded(name, asked, size)
    except (av.FFmpegError, OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "" if made else "it returns nothing"


def _encoded(name: str, asked: Quality, size: tuple[int, int]) -> int:
    """Returns the bytes of two black frames."""
    context = VideoCodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = *size, asked.pix_fmt
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = ENCODERS[name].options(asked, HdrMetadata())
    frame = VideoFrame.from_ndarray(np.zeros((size[1], size[0], 3), np.uint8), "rgb24")
    frame = frame.reformat(format=asked.pix_fmt)
    frame.time_base, length = context.time_base, 0
    for pts in (0, 1):
        frame.pts = pts
        length += sum(packet.size for packet in context.encode(frame))
    return length + sum(packet.size for packet in context.encode(None))
