"""Static HDR metadata of a video, and how each encoder is told about it.

The display on which the video was mastered (SMPTE ST 2086) and the brightness of its content
(CEA-861.3). PyAV passes on FFmpeg's structs as bytes, and has no call to set them: encoders take
them as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from latentsync.media.avframe import side_data

Point = tuple[Fraction, Fraction]  # x and y in the CIE 1931 diagram

_CHROMATICITY = 50_000  # steps of 1, in HEVC and H.264
_LUMINANCE = 10_000  # steps of 1 cd/m2
HDR10_PLUS = "HDR10+ metadata"
AMBIENT = "the ambient viewing environment"
CAPTIONS = "closed captions in the video stream"
_DYNAMIC = {
    Type.DYNAMIC_HDR_PLUS: HDR10_PLUS,
    Type.DOVI_RPU_BUFFER: "Dolby Vision metadata",
    Type.DOVI_METADATA: "Dolby Vision metadata",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.AMBIENT_VIEWING_ENVIRONMENT: AMBIENT,
    Type.A53_CC: CAPTIONS,
}
"""Side data that encoders take with the frames, if at all."""


@dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """The display on which a video was mastered. luminance: least, greatest [cd/m2]."""

    red: Point
    green: Point
    blue: Point
    white: Point
    luminance: tuple[Fraction, Fraction]

    @classmethod
    def of(cls, struct: bytes) -> MasteringDisplay | None:
        """From FFmpeg's AVMasteringDisplayMetadata; None if it is incomplete."""
        *numbers, has_primaries, has_luminance = np.frombuffer(struct, np.int32)[:22].tolist()
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        if not (has_primaries and has_luminance) or not all(below for _, below in pairs):
            return None
        red_x, red_y, green_x, green_y, blue_x, blue_y, x, y, least, greatest = (
            Fraction(*pair) for pair in pairs
        )
        red, green, blue = (red_x, red_y), (green_x, green_y), (blue_x, blue_y)
        return cls(red, green, blue, (x, y), (least, greatest))

    def in_steps(self) -> str:
        """As x264 and x265 read it, in the units of the bit stream."""
        points = (f"({_steps(x)},{_steps(y)})" for x, y in self._points)
        return self._text(points, (str(round(one * _LUMINANCE)) for one in self.luminance))

    def in_decimals(self) -> str:
        """As SVT-AV1 reads it."""
        points = (f"({float(x):.5f},{float(y):.5f})" for x, y in self._points)
        return self._text(points, (f"{float(one):.5f}" for one in self.luminance))

    @property
    def _points(self) -> tuple[Point, ...]:
        return self.green, self.blue, self.red, self.white

    @staticmethod
    def _text(points: Iterable[str], luminance: Iterable[str]) -> str:
        green, blue, red, white = points
        least, greatest = luminance
        return f"G{green}B{blue}R{red}WP{white}L({greatest},{least})"


@dataclass(frozen=True, slots=True)
class HdrMetadata:
    """What the first frame of a video says. light: greatest brightness of a pixel, and greatest
    mean of a frame [cd/m2]. dynamic: kinds of data that change from frame to frame, in words."""

    mastering: MasteringDisplay | None = None
    light: tuple[int, int] | None = None
    dynamic: tuple[str, ...] = ()

    @classmethod
    def of(cls, frame: VideoFrame) -> HdrMetadata:
        found = {one.type: bytes(one) for one in side_data(frame)}
        display = found.get(Type.MASTERING_DISPLAY_METADATA)
        light = found.get(Type.CONTENT_LIGHT_LEVEL)
        return cls(
            None if display is None else MasteringDisplay.of(display),
            None if light is None else _light(light),
            tuple(dict.fromkeys(words for kind, words in _DYNAMIC.items() if kind in found)),
        )

    @property
    def static(self) -> bool:
        """Whether it says anything that holds for the whole video."""
        return self.mastering is not None or self.light is not None

    def x264(self) -> dict[str, str]:
        """The keys of x264-params."""
        return self._named("mastering-display", "cll", in_steps=True)

    def x265(self) -> dict[str, str]:
        """The keys of x265-params."""
        return self._named("master-display", "max-cll", in_steps=True)

    def svt_av1(self) -> dict[str, str]:
        """The keys of svtav1-params."""
        return self._named("mastering-display", "content-light", in_steps=False)

    def _named(self, display: str, light: str, *, in_steps: bool) -> dict[str, str]:
        named = {}
        if self.mastering is not None:
            text = self.mastering.in_steps() if in_steps else self.mastering.in_decimals()
            named[display] = text
        if self.light is not None:
            named[light] = "{},{}".format(*self.light)
        return named


def _steps(share: Fraction) -> int:
    return round(share * _CHROMATICITY)


def _light(struct: bytes) -> tuple[int, int]:
    """From FFmpeg's AVContentLightMetadata."""
    pixel, mean = np.frombuffer(struct, np.uint32)[:2].tolist()
    return pixel, mean
