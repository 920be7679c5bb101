"""FFmpeg's filters, for the few things that PyAV does not let one see or say of a picture."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av.filter
from av.video.frame import VideoFrame


class PictureFilter:
    """One filter that takes a picture in and gives one out, set up by the pictures it meets."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self._name, self._args = name, args
        self._graph: av.filter.Graph | None = None
        self._like: tuple[int, int, str] | None = None

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        like = (picture.width, picture.height, picture.format.name)
        if self._graph is None or like != self._like:
            self._graph, self._like = self._built(picture), like
        self._graph.push(picture)
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
