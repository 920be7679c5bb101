"""What PyAV has no call for: filtering a single frame, a plane's samples, the field order, side
data that keeps no frame alive."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import av.filter
import numpy as np
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

PROGRESSIVE, TOP_FIRST, BOTTOM_FIRST = "progressive", "tff", "bff"


class FrameFilter:
    """An FFmpeg filter with one frame in and one out; configured anew when the format changes."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self._name, self._args = name, args
        self._graph: av.filter.Graph | None = None
        self._like: tuple[int, int, str] | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        like = (frame.width, frame.height, frame.format.name)
        if self._graph is None or like != self._like:
            self._graph, self._like = self._built(frame), like
        self._graph.push(frame)
        out = self._graph.pull()
        assert isinstance(out, VideoFrame)
        return out

    def _built(self, like: VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=like.width,
            height=like.height,
            format=like.format,
            time_base=like.time_base or Fraction(1, 1000),
        )
        nodes = [source, graph.add(self._name, self._args), graph.add("buffersink")]
        for node, after in itertools.pairwise(nodes):
            node.link_to(after)
        graph.configure()
        return graph


def plane_samples(plane: VideoPlane, bits: int = 8) -> np.ndarray:
    """(rows, columns) uint8, or uint16 for more than 8 bits: a view, rows padded in memory."""
    dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    whole = plane.line_size // dtype.itemsize * dtype.itemsize
    return rows[:, :whole].view(dtype)[:, : plane.width]


def side_data(frame: VideoFrame) -> list[SideData]:
    """What ``frame.side_data`` holds.

    That property keeps what it returns in the frame, which it refers to: the frame, 3 MB of 1080p,
    then stays until Python looks for such cycles.
    """
    # It iterates over its values, though it is a Mapping.
    return list(cast("Iterable[SideData]", SideDataContainer(frame)))  # type: ignore[call-arg]


def field_order(frame: VideoFrame) -> str:
    """PROGRESSIVE, TOP_FIRST or BOTTOM_FIRST, by the flags of a decoded frame.

    PyAV reports interlaced or progressive only. The first field is the one that FFmpeg puts first
    when it separates them.
    """
    if not frame.interlaced_frame:
        return PROGRESSIVE
    first_out = FrameFilter("separatefields")(frame)
    return TOP_FIRST if np.array_equal(_rows(first_out), _rows(frame)[0::2]) else BOTTOM_FIRST


def _rows(frame: VideoFrame) -> np.ndarray:
    return plane_samples(frame.planes[0])
