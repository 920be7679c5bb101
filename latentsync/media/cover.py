"""Cover images: one packet, which each container stores in a place of its own."""

from __future__ import annotations

from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition

from latentsync.media.container import open_source
from latentsync.media.streams import Way

_TYPES = {"mjpeg": "jpg", "png": "png", "bmp": "bmp", "webp": "webp", "gif": "gif"}
"""FFmpeg's codec -> the end of the file's name."""
_IN_MP4 = {"mjpeg", "png", "bmp"}
_MIME = {"jpg": "image/jpeg"}


def cover_way(codec: str, muxer: str) -> Way:
    """What becomes of a cover in a file of that FFmpeg muxer."""
    if muxer == "matroska":
        return "attached" if codec in _TYPES else "lost"
    return "copied" if muxer == "mp4" and codec in _IN_MP4 else "lost"


class Cover:
    """A cover on its way into an output: call start() once the header is written."""

    def __init__(self, source: InputContainer, index: int, output: OutputContainer) -> None:
        """Before the header is written. source: it is open; index: the cover's stream in it."""
        self._output = output
        self._packet: Packet | None = None
        template = source.streams[index]
        payload = _payload(Path(source.name.removeprefix("file:")), index)
        if output.format.name == "matroska":  # where covers are attached files
            kind = _TYPES[template.codec.canonical_name]
            mime = _MIME.get(kind, f"image/{kind}")
            output.add_attachment(f"cover.{kind}", mime, payload)
            return
        stream = output.add_stream_from_template(template, opaque=True)
        stream.disposition = Disposition.attached_pic
        self._packet = Packet(payload)
        self._packet.stream = stream
        self._packet.pts = self._packet.dts = 0
        self._packet.is_keyframe = True

    def start(self) -> None:
        """Writes it, where it is not part of the header."""
        if self._packet is not None:
            self._output.mux_one(self._packet)


def _payload(path: Path, index: int) -> bytes:
    """Read by itself: elsewhere the file is read from another place."""
    with open_source(path) as container:
        for packet in container.demux(container.streams[index]):
            if packet.size:
                return bytes(packet)
    raise ValueError("the cover is empty")
