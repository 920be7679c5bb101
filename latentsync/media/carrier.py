"""What a frame carries from the decoder to the encoder beside its pixels: samples, side data.

PyAV cannot attach side data to a frame, but a scaled or filtered frame has that of the first. So a
decoded frame is kept, or a tiny one made of it, and turned into the frame to encode.
"""

from __future__ import annotations

import numpy as np
from av.sidedata.sidedata import Type
from av.video.format import VideoFormat
from av.video.frame import PictureType, VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from latentsync.media.avframe import FrameFilter, side_data
from latentsync.media.samples import bits_of, chroma_steps, is_gray, is_planar

_CARRIED = {
    Type.A53_CC,
    Type.AFD,
    Type.AMBIENT_VIEWING_ENVIRONMENT,
    Type.CONTENT_LIGHT_LEVEL,
    Type.DOVI_METADATA,
    Type.DOVI_RPU_BUFFER,
    Type.DYNAMIC_HDR_PLUS,
    Type.DYNAMIC_HDR_VIVID,
    Type.GOP_TIMECODE,
    Type.MASTERING_DISPLAY_METADATA,
    Type.S12M_TIMECODE,
    Type.STEREO3D,
}
"""Side data that says something of the frame itself, whatever its size and place."""

_TINY = 16  # pixels, each way


class CarrierMaker:
    """Makes the carriers of the decoded frames of one video."""

    def __init__(self, *, upright: bool, deep: bool) -> None:
        """upright: whether frames are stored so. deep: whether pixels have 16 bits."""
        self._upright, self._deep = upright, deep
        self._tiny = VideoReformatter()
        self._without_matrix = FrameFilter("sidedata", "mode=delete:type=DISPLAYMATRIX")

    def __call__(self, frame: VideoFrame) -> VideoFrame | None:
        """Returns the frame if its samples cannot be had back from its pixels exactly; a tiny one
        if it has side data; None: nothing to carry."""
        types = side_data_types(frame)
        keep = self._upright and has_samples_to_keep(frame.format, deep=self._deep)
        if not keep and not types & _CARRIED:
            return None
        if Type.DISPLAYMATRIX in types:
            frame = self._without_matrix(frame)
        return frame if keep else self._tiny.reformat(frame, width=_TINY, height=_TINY)


def has_samples_to_keep(pix_fmt: VideoFormat, *, deep: bool) -> bool:
    """Whether RGB pixels lose something of such a frame: chroma between pixels, and values beyond
    black and white. 4:2:0 of 8 bits is left out: what it loses, its encoder loses as well."""
    if pix_fmt.is_rgb or is_gray(pix_fmt) or not is_planar(pix_fmt):
        return False
    return deep or bits_of(pix_fmt) > 8 or chroma_steps(pix_fmt) != (2, 2)


def side_data_types(frame: VideoFrame) -> set[Type]:
    return {entry.type for entry in side_data(frame)}


def with_side_data(converted: VideoFrame, carrier: VideoFrame | None) -> VideoFrame:
    """The frame with the carrier's side data; the frame itself if there is none to carry."""
    if carrier is None or not side_data_types(carrier) & _CARRIED:
        return converted
    full = VideoReformatter().reformat(
        carrier, width=converted.width, height=converted.height, format=converted.format.name
    )
    for plane, wanted in zip(full.planes, converted.planes, strict=True):
        length = min(plane.line_size, wanted.line_size)
        _rows(plane)[:, :length] = _rows(wanted)[:, :length]
    full.pict_type = PictureType.NONE  # else the encoder repeats the source's key frames
    return full


def _rows(plane: VideoPlane) -> np.ndarray:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
