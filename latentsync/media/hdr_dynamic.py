"""HDR metadata that changes from frame to frame, as SEI messages of HEVC.

libx265 drops it, and PyAV passes it on as the bytes of FFmpeg's structs: HDR10+ (SMPTE ST 2094-40)
and the ambient viewing environment. It is written into the encoded packets.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterable, Iterator

from av.packet import Packet
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from latentsync.media.avframe import side_data

_START = b"\0\0\0\1"
_NAL_START = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_PREFIX_SEI = bytes([39 << 1, 1])
_REGISTERED, _AMBIENT = 4, 148  # kinds of SEI messages
_HDR10_PLUS = bytes([0xB5, 0x00, 0x3C, 0x00, 0x01, 4])  # country, provider, application


class _Rational(ctypes.Structure):
    _fields_ = (("num", ctypes.c_int), ("den", ctypes.c_int))

    def times(self, unit: int) -> int:
        return round(self.num * unit / self.den) if self.den else 0


class _Percentile(ctypes.Structure):
    _fields_ = (("percentage", ctypes.c_uint8), ("percentile", _Rational))


class _Window(ctypes.Structure):
    """FFmpeg's AVHDRPlusColorTransformParams."""

    _fields_ = (
        ("corners", _Rational * 4),
        ("center", ctypes.c_uint16 * 2),
        ("angle", ctypes.c_uint8),
        ("axes", ctypes.c_uint16 * 3),
        ("overlap", ctypes.c_int),
        ("max_rgb", _Rational * 3),
        ("average", _Rational),
        ("percentile_count", ctypes.c_uint8),
        ("percentiles", _Percentile * 15),
        ("bright", _Rational),
        ("tone_mapping", ctypes.c_uint8),
        ("knee", _Rational * 2),
        ("anchor_count", ctypes.c_uint8),
        ("anchors", _Rational * 15),
        ("saturation_mapping", ctypes.c_uint8),
        ("saturation", _Rational),
    )


class _Peaks(ctypes.Structure):
    """Actual peak luminance over the area of a display."""

    _fields_ = (
        ("given", ctypes.c_uint8),
        ("rows", ctypes.c_uint8),
        ("columns", ctypes.c_uint8),
        ("values", (_Rational * 25) * 25),
    )

    def fields(self) -> Iterator[tuple[int, int]]:
        yield self.given, 1
        if self.given:
            yield from ((self.rows, 5), (self.columns, 5))
            for row in self.values[: self.rows]:
                yield from ((one.times(15), 4) for one in row[: self.columns])


class HdrPlus(ctypes.Structure):
    """FFmpeg's AVDynamicHDRPlus."""

    _fields_ = (
        ("country", ctypes.c_uint8),
        ("version", ctypes.c_uint8),
        ("window_count", ctypes.c_uint8),
        ("windows", _Window * 3),
        ("luminance", _Rational),
        ("target_peaks", _Peaks),
        ("mastering_peaks", _Peaks),
    )

    def message(self) -> bytes:
        """The SEI message's payload. HDR10+ has one window, the whole frame."""
        return _HDR10_PLUS + bytes([self.version]) + _packed(self._fields_of(self.windows[0]))

    def _fields_of(self, window: _Window) -> Iterator[tuple[int, int]]:
        """(value, bits) in the order of the standard."""
        yield from ((1, 2), (self.luminance.times(1), 27))
        yield from self.target_peaks.fields()
        yield from ((one.times(100_000), 17) for one in (*window.max_rgb, window.average))
        yield window.percentile_count, 4
        for one in window.percentiles[: window.percentile_count]:
            yield from ((one.percentage, 7), (one.percentile.times(100_000), 17))
        yield window.bright.times(1000), 10
        yield from self.mastering_peaks.fields()
        yield window.tone_mapping, 1
        if window.tone_mapping:
            yield from ((one.times(4095), 12) for one in window.knee)
            yield window.anchor_count, 4
            yield from ((one.times(1023), 10) for one in window.anchors[: window.anchor_count])
        yield window.saturation_mapping, 1
        if window.saturation_mapping:
            yield window.saturation.times(8), 6


def sei_of(frame: VideoFrame) -> bytes:
    """What the frame's side data says, as an HEVC NAL unit; b"": nothing."""
    found = {one.type: bytes(one) for one in side_data(frame)}
    messages = []
    if Type.DYNAMIC_HDR_PLUS in found:
        data = HdrPlus.from_buffer_copy(found[Type.DYNAMIC_HDR_PLUS])
        messages.append((_REGISTERED, data.message()))
    if Type.AMBIENT_VIEWING_ENVIRONMENT in found:
        messages.append((_AMBIENT, _ambient(found[Type.AMBIENT_VIEWING_ENVIRONMENT])))
    return nal_unit(messages) if messages else b""


def nal_unit(messages: Iterable[tuple[int, bytes]]) -> bytes:
    """A prefix SEI with (kind, payload of up to 254 bytes) messages."""
    body = b"".join(bytes([kind, len(payload)]) + payload for kind, payload in messages) + b"\x80"
    # What looks like the start of a unit is broken up.
    return _PREFIX_SEI + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\0\0\3", body)


def with_sei(packet: Packet, nal: bytes) -> Packet:
    """The packet of an HEVC encoder with the NAL unit before the picture, where it belongs."""
    data = bytes(packet)
    for found in _NAL_START.finditer(data):
        if found[1][0] >> 1 < 32:  # a slice of the picture; others are headers
            break
    else:
        return packet
    at = found.start() - (data[found.start() - 1 : found.start()] == b"\0")
    made = Packet(data[:at] + _START + nal + data[at:])
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    made.time_base, made.is_keyframe = packet.time_base, packet.is_keyframe
    made.stream = packet.stream
    return made


def _ambient(data: bytes) -> bytes:
    """From FFmpeg's AVAmbientViewingEnvironment: lux, and a point of the CIE 1931 diagram."""
    lux, x, y = (_Rational * 3).from_buffer_copy(data)
    return struct.pack(">IHH", lux.times(10_000), x.times(50_000), y.times(50_000))


def _packed(fields: Iterable[tuple[int, int]]) -> bytes:
    """(value, bits) one after another, filled up with zeros."""
    bits = "".join(format(value, f"0{width}b") for value, width in fields)
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8))
