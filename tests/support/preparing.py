"""Videos for the preparation of training data, and flags with which they become clips."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av

TALKING = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"
FLAGS = ["--workers", "1", "--min_face", "60", "--min_seconds", "2", "--offline"]


def begun(source: Path, target: Path, seconds: float) -> None:
    """The beginning of a video, not encoded again."""
    with av.open(str(source)) as original, av.open(str(target), "w") as copy:
        streams = {one.index: copy.add_stream_from_template(one) for one in original.streams}
        for packet in original.demux():
            if packet.dts is not None and packet.dts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
