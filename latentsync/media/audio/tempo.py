"""Makes audio longer or shorter without changing its pitch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph


def stretched(
    pieces: Iterable[np.ndarray], factor: float, *, rate: int, layout: str
) -> Iterator[np.ndarray]:
    """(n, channels) int16 -> the same, as long as all of it times the factor, 0.5 to 2.

    rate: Hz. layout: FFmpeg's name of the channels.
    """
    graph, place = Graph(), 0
    source = graph.add_abuffer(
        sample_rate=rate, format="s16", layout=layout, time_base=Fraction(1, rate)
    )
    graph.link_nodes(
        source, graph.add("atempo", f"{1 / factor:.9f}"), graph.add("abuffersink")
    ).configure()
    for piece in pieces:
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(piece).reshape(1, -1), format="s16", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
        place += len(piece)
        graph.push(frame)
        yield from _ready(graph, piece.shape[1])
    graph.push(None)
    yield from _ready(graph, 1 if layout == "mono" else 2)


def _ready(graph: Graph, channels: int) -> Iterator[np.ndarray]:
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield frame.to_ndarray().reshape(-1, channels)
