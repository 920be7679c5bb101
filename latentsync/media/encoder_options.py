"""What crf and preset mean for each encoder: its options for FFmpeg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from av.video.format import VideoFormat

from latentsync.media.hdr import HdrMetadata
from latentsync.media.samples import bits_of

PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
"""Names of output.preset, those of x264, fastest first."""

MAX_CRF = 51
_MOST_CRF_OF_AV1 = 63
_LAMBDA = 118  # FFmpeg's unit of quality

# Of an 8-bit 540x960 to 1080x1920 video of a face, SVT-AV1 at these has the PSNR of x264's crf 14,
# 18, 23 and 28 within 0.6 dB: 11, 22, 36 and 49.
_AV1_AT_18, _AV1_STEP = 22, 2.7
# From "ultrafast" on. 8 takes x264's time at medium. Faster ones than 9 "may show artifacts".
_AV1_PRESETS = ("9", "9", "9", "9", "8", "7", "6", "4", "3", "2")
_NVENC_PRESETS = ("p1", "p1", "p2", "p3", "p3", "p4", "p5", "p6", "p7", "p7")
_QSV_PRESETS = (
    ("veryfast",) * 3 + ("faster", "fast", "medium", "slow", "slower") + ("veryslow",) * 2
)
_PRORES_PROFILES = {
    "Proxy": "proxy",
    "LT": "lt",
    "Standard": "standard",
    "HQ": "hq",
    "4444": "4444",
    "XQ": "4444xq",
}
"""PyAV's name of a ProRes stream's profile -> the encoders' name."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What an encoder is asked for. crf: 0 (lossless) to 51, as x264 counts; preset: as x264 names
    them. profile: of the source, as PyAV names it."""

    crf: int
    preset: str
    pix_fmt: str
    profile: str = ""

    @property
    def deep(self) -> bool:
        """Whether it has more than 8 bits per channel."""
        return bits(self.pix_fmt) > 8

    def among(self, presets: Sequence[str]) -> str:
        """The preset, of an encoder that has other names for them."""
        return presets[PRESETS.index(self.preset)]


Options = dict[str, str]


def bits(pix_fmt: str) -> int:
    """Per channel."""
    return bits_of(VideoFormat(pix_fmt, 16, 16))


def joined(params: Mapping[str, str]) -> str:
    """ "key=value:key=value", as x264, x265 and SVT-AV1 read their parameters."""
    return ":".join(f"{key}={value}" for key, value in params.items())


def x264(asked: Quality, hdr: HdrMetadata) -> Options:
    # A tenth more bits, for chroma: at crf 18 the RGB PSNR of a 1080p video rises from 44.8 to
    # 45.6 dB. People notice colour shifts in a face.
    params = {"chroma-qp-offset": "-6", **hdr.x264()}
    # With more than 8 bits crf 0 is not lossless.
    quality = {"qp": "0"} if asked.crf == 0 and asked.deep else {"crf": str(asked.crf)}
    return {**quality, "preset": asked.preset, "x264-params": joined(params)}


def x265(asked: Quality, hdr: HdrMetadata) -> Options:
    params = {"log-level": "error", **hdr.x265()}  # it prints without FFmpeg's log
    if asked.crf == 0:
        params["lossless"] = "1"
    quality = {"crf": str(asked.crf), "preset": asked.preset}
    return {**quality, "a53cc": "1", "x265-params": joined(params)}


def svt_av1(asked: Quality, hdr: HdrMetadata) -> Options:
    params = dict(hdr.svt_av1())
    if asked.crf == 0:
        params["lossless"] = "1"
    crf = round(_AV1_AT_18 + _AV1_STEP * (asked.crf - 18))
    quality = {"crf": str(min(max(crf, 1), _MOST_CRF_OF_AV1)), "preset": asked.among(_AV1_PRESETS)}
    return {**quality, "svtav1-params": joined(params)} if params else quality


def prores(asked: Quality, _hdr: HdrMetadata) -> Options:
    """The source's profile if that has the chroma of the pixel format; else the better one."""
    full = VideoFormat(asked.pix_fmt, 16, 16).chroma_width(16) == 16
    profile = _PRORES_PROFILES.get(asked.profile, "")
    if profile.startswith("4444") != full or not profile:
        profile = "4444" if full else "hq"
    return {"profile": profile}


def prores_ks(asked: Quality, hdr: HdrMetadata) -> Options:
    return {**prores(asked, hdr), "vendor": "apl0"}  # some editors take Apple's only


def ffv1(_asked: Quality, _hdr: HdrMetadata) -> Options:
    """Version 3, each frame by itself and with checksums, as archives want it."""
    return {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}


def nvenc(asked: Quality, _hdr: HdrMetadata) -> Options:
    preset = {"preset": asked.among(_NVENC_PRESETS)}
    if asked.crf == 0:
        return {**preset, "tune": "lossless"}
    return {**preset, "tune": "hq", "rc": "vbr", "b": "0", "cq": str(asked.crf)}


def nvenc_av1(asked: Quality, hdr: HdrMetadata) -> Options:
    cq = round(asked.crf * _MOST_CRF_OF_AV1 / MAX_CRF)
    return {**nvenc(asked, hdr), "cq": str(cq)} if asked.crf else nvenc(asked, hdr)


def qsv(asked: Quality, _hdr: HdrMetadata) -> Options:
    """Its constant quality counts like crf, from 1 on."""
    return {"preset": asked.among(_QSV_PRESETS), "global_quality": str(max(1, asked.crf))}


def videotoolbox(asked: Quality, _hdr: HdrMetadata) -> Options:
    """Its constant quality, 1 to 100, greater is better: 64 for crf 18."""
    quality = max(1, 100 - 2 * asked.crf)
    return {"flags": "+qscale", "global_quality": str(quality * _LAMBDA)}
