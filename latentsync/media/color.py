"""Colour tags, and the one pair of conversions YUV -> RGB -> YUV that reader and writer share.

Both directions use the same matrix and range, so that unedited pixels return unchanged. The flags
of the scaler matter as much: on a 1080x1920 video, there and back, FFmpeg's defaults darken the
luma by a whole code value (47 dB); exact rounding and interpolated chroma reach 85 dB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from latentsync.media.avframe import PROGRESSIVE, FrameFilter, plane_samples
from latentsync.media.deep import FromRgb16, ToRgb16, write_planes
from latentsync.media.samples import planar, repacked

UNSPECIFIED = "unspecified"

# Code points of ITU-T H.273, by the names that FFmpeg prints. An unlisted one is named by its
# number, so that it too is carried over.
_RANGES = {0: UNSPECIFIED, 1: "tv", 2: "pc"}
_MATRICES = {
    0: "rgb",
    1: "bt709",
    2: UNSPECIFIED,
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    14: "ictcp",
}
_PRIMARIES = {
    1: "bt709",
    2: UNSPECIFIED,
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
_TRANSFERS = {
    1: "bt709",
    2: UNSPECIFIED,
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    18: "arib-std-b67",
}

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
"""PQ and HLG."""

# The scaler's own codes; not every PyAV version names all.
_CONVERTIBLE = {
    "bt709": 1,
    "fcc": 4,
    "bt470bg": 5,
    "smpte170m": 5,
    "smpte240m": 7,
    "bt2020nc": 9,
    "bt2020c": 9,
}

# Position of subsampled chroma. Untagged H.264 and HEVC mean "left", and so does what is written
# here. The scaler assumes "centre" if a decoder sets no tag, and these decoders set none. The two
# are a quarter of a sample apart: 45 dB instead of 73 for an unedited video.
_SITING = "chroma_location=left"
_UNTAGGED_DECODERS = {"vp8", "vp9", "av1", "ffv1"}

_BICUBIC, _EXACT_ROUNDING, _ALL_CHROMA_OUT, _ALL_CHROMA_IN = 0x4, 0x40000, 0x2000, 0x4000
_TO_RGB = _BICUBIC | _EXACT_ROUNDING | _ALL_CHROMA_OUT
_TO_YUV = _BICUBIC | _EXACT_ROUNDING | _ALL_CHROMA_IN

# With exact rounding the scaler is fast for planar output only. Same values: 5 ms for a 1080p frame
# including the merge of the planes, 16 ms for packed RGB.
_PLANES = "gbrp"


@dataclass(frozen=True, slots=True)
class ColorTags:
    """The colour tags of a stream, by FFmpeg's names."""

    matrix: str = UNSPECIFIED
    range: str = UNSPECIFIED
    primaries: str = UNSPECIFIED
    transfer: str = UNSPECIFIED

    @classmethod
    def of(cls, frame: VideoFrame) -> ColorTags:
        return cls(
            _name(_MATRICES, frame.colorspace),
            _name(_RANGES, frame.color_range),
            _name(_PRIMARIES, frame.color_primaries),
            _name(_TRANSFERS, frame.color_trc),
        )

    def codes(self) -> dict[str, int]:
        """The numeric codes, by the names of PyAV's codec context attributes."""
        return {
            "colorspace": _code(_MATRICES, self.matrix),
            "color_range": _code(_RANGES, self.range),
            "color_primaries": _code(_PRIMARIES, self.primaries),
            "color_trc": _code(_TRANSFERS, self.transfer),
        }


def _name(names: dict[int, str], code: int) -> str:
    return names.get(code, str(code))


def _code(names: dict[int, str], name: str) -> int:
    codes = {known: code for code, known in names.items()}
    return codes[name] if name in codes else int(name)


def unknown_matrix(tags: ColorTags) -> bool:
    """Whether the tag names a matrix that the scaler cannot convert."""
    return tags.matrix not in _CONVERTIBLE and tags.matrix not in (UNSPECIFIED, "rgb")


def is_rgb(pix_fmt: str) -> bool:
    return VideoFormat(pix_fmt, 16, 16).is_rgb


def output_tags(tags: ColorTags, pix_fmt: str, width: int, height: int) -> ColorTags:
    """The tags of a YUV video made from such a source. RGB has no matrix: the default is used."""
    if not is_rgb(pix_fmt) and tags.matrix != "rgb":
        return tags
    return replace(tags, matrix=_default_matrix(width, height), range="tv")


def _default_matrix(width: int, height: int) -> str:
    """The matrix that players assume for untagged video: BT.709 for high definition."""
    return "bt709" if height >= 720 or width >= 1280 else "smpte170m"


@dataclass(frozen=True, slots=True)
class Conversion:
    """Matrix and range between RGB and the YUV of one video."""

    matrix: int
    range: ColorRange

    @classmethod
    def of(cls, tags: ColorTags, pix_fmt: str, width: int, height: int) -> Conversion:
        """From the tags; if untagged, from the stored size, as players do."""
        name = tags.matrix
        if name not in _CONVERTIBLE:
            name = _default_matrix(width, height)
        full = tags.range == "pc" or pix_fmt.startswith("yuvj") or is_rgb(pix_fmt)
        return cls(_CONVERTIBLE[name], ColorRange.JPEG if full else ColorRange.MPEG)


class ToRgb:
    """Decoded frames -> pixels. Keeps one scaler for the whole video."""

    def __init__(self, conversion: Conversion, *, codec: str = "", deep: bool = False) -> None:
        """codec: canonical name of the video's codec. deep: whether pixels have 16 bits."""
        self._conversion = conversion
        self._place_chroma = (
            FrameFilter("setparams", _SITING) if codec in _UNTAGGED_DECODERS else None
        )
        self._scaler = VideoReformatter()
        self._deep = ToRgb16(conversion.matrix, conversion.range) if deep else None

    def __call__(self, frame: VideoFrame, width: int, height: int) -> np.ndarray:
        """Any pixel format -> (height, width, 3) uint8 or uint16 RGB; another size is scaled."""
        if self._place_chroma:
            frame = self._place_chroma(frame)
        if self._deep:
            return self._deep(frame, width, height)
        planes = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=_PLANES,
            src_colorspace=self._conversion.matrix,
            dst_colorspace=self._conversion.matrix,
            src_color_range=self._conversion.range,
            dst_color_range=ColorRange.JPEG,
            interpolation=_TO_RGB,
        )
        green, blue, red = (plane_samples(plane) for plane in planes.planes)
        return cv2.merge([red, green, blue])


class FromRgb:
    """Pixels -> frames for the encoder, of any pixel format. Nothing is dithered."""

    def __init__(self, conversion: Conversion, pix_fmt: str, *, fields: str = PROGRESSIVE) -> None:
        """fields: the order to mark; interlaced chroma is subsampled field by field."""
        self._conversion, self._pix_fmt = conversion, pix_fmt
        mode = "prog" if fields == PROGRESSIVE else fields
        self._mark = FrameFilter("setparams", f"{_SITING}:field_mode={mode}")
        self._scaler = VideoReformatter()
        self.deep = FromRgb16(conversion.matrix, conversion.range, pix_fmt, self._mark)

    def __call__(self, pixels: np.ndarray, alpha: np.ndarray | None = None) -> VideoFrame:
        """pixels: (H, W, 3) uint8 or uint16 RGB, C-contiguous. alpha: (H, W) of the same dtype;
        None: opaque, where the pixel format has alpha."""
        if pixels.dtype == np.uint16:
            return self.finished(self.deep(pixels, alpha))
        if alpha is None:
            return self._scaled(pixels, self._pix_fmt)
        frame = self._scaled(pixels, planar(self._pix_fmt))
        write_planes(frame, (), alpha)
        return self.finished(repacked(frame, self._pix_fmt))

    def _scaled(self, pixels: np.ndarray, pix_fmt: str) -> VideoFrame:
        frame = self._mark(VideoFrame.from_ndarray(pixels, format="rgb24"))
        frame.colorspace = self._conversion.matrix  # some PyAV versions read BT.2020 from here only
        return self._scaler.reformat(
            frame,
            format=pix_fmt,
            src_colorspace=self._conversion.matrix,
            dst_colorspace=self._conversion.matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=self._conversion.range,
            interpolation=_TO_YUV,
        )

    def finished(self, frame: VideoFrame) -> VideoFrame:
        """The frame with the tags that the scaler sets, and its fields marked."""
        frame = self._mark(frame)
        frame.colorspace, frame.color_range = self._conversion.matrix, self._conversion.range
        return frame
