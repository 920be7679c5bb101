"""Copies a video, whole or its beginning, and measures the differences."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from latentsync.media.probe import VideoInfo
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.writer import VideoWriter

FINE = EncodeSettings(crf=1, preset="ultrafast")
QUICK = EncodeSettings(preset="ultrafast")
PATCHES = [(200, 40, 40), (40, 180, 60), (30, 60, 200), (128, 128, 128), (235, 235, 235)]


def copied(source: Path | VideoInfo, target: Path, settings: EncodeSettings = QUICK) -> Path:
    """Reads the source and writes every frame unchanged."""
    reader = VideoReader(source)
    with VideoWriter(target, reader.info, settings) as writer:
        for frame in reader:
            writer.write(frame)
    return target


def beginning(source: Path, target: Path, seconds: float) -> Path:
    """Copies the streams up to then, as they are. For videos: up to a key frame."""
    with av.open(f"file:{source}") as given, av.open(f"file:{target}", "w") as made:
        streams = {s.index: made.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.pts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return target


def differences(one: Path, other: Path) -> np.ndarray:
    """Absolute difference of every pixel of two videos, in code values."""
    pairs = zip(VideoReader(one), VideoReader(other), strict=True)
    return np.stack([np.abs(a.pixels.astype(int) - b.pixels) for a, b in pairs])


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
