"""Cover images: one packet, which each container stores in a place of its own."""

from __future__ import annotations

import uuid
from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition

from latentsync.media.boxes import body_of, find_box
from latentsync.media.container import open_source
from latentsync.media.streams import Way

_TYPES = {"mjpeg": "jpg", "png": "png", "bmp": "bmp", "webp": "webp", "gif": "gif"}
"""FFmpeg's codec -> the end of the file's name."""
_MIME = {"jpg": "image/jpeg"}
_LONGEST = 512 * 2**20  # bytes of a header, as in marks.in_place
_ARTWORK = "com.apple.quicktime.artwork"
_DATA_TYPES = {"mjpeg": 13, "png": 14, "bmp": 27}
"""Codec -> the number of its kind in an MP4's metadata."""


def cover_way(codec: str, muxer: str) -> Way:
    """What becomes of a cover in a file of that FFmpeg muxer."""
    if muxer == "matroska":
        return "attached" if codec in _TYPES else "lost"
    return "copied" if muxer == "mp4" and codec in _DATA_TYPES else "lost"


class Cover:
    """A cover on its way into an output: start() once the header is written, finish() at the end.

    With `use_metadata_tags` FFmpeg writes no cover to an MP4: a text as long as it is holds its
    place, under the key that QuickTime has for covers.
    """

    def __init__(
        self, source: InputContainer, index: int, output: OutputContainer, *, own_keys: bool
    ) -> None:
        """Before the header is written. source: it is open; index: the cover's stream in it.

        own_keys: whether the file is written with `use_metadata_tags`.
        """
        self._output = output
        self._packet: Packet | None = None
        self._place = ""
        template = source.streams[index]
        self._codec = template.codec.canonical_name
        self._payload = _payload(Path(source.name.removeprefix("file:")), index)
        if output.format.name == "matroska":  # where covers are attached files
            kind = _TYPES[self._codec]
            mime = _MIME.get(kind, f"image/{kind}")
            output.add_attachment(f"cover.{kind}", mime, self._payload)
        elif own_keys:
            self._place = f"cover {uuid.uuid4()}".ljust(len(self._payload), "x")
            output.metadata[_ARTWORK] = self._place
        else:
            stream = output.add_stream_from_template(template, opaque=True)
            stream.disposition = Disposition.attached_pic
            self._packet = Packet(self._payload)
            self._packet.stream = stream
            self._packet.pts = self._packet.dts = 0
            self._packet.is_keyframe = True

    def start(self) -> None:
        """Writes it, where it is not part of the header."""
        if self._packet is not None:
            self._output.mux_one(self._packet)

    def finish(self, path: Path) -> None:
        """Puts it into its place in the finished file. Raises OSError."""
        if not self._place:
            return
        with path.open("r+b") as file:
            movie = find_box(file, b"moov")
            content = b"" if movie is None else body_of(file, movie, _LONGEST)
            found = content.find(self._place.encode())
            if movie is None or found < 0:
                return
            kind = _DATA_TYPES[self._codec].to_bytes(4, "big")  # and four bytes of a language
            file.seek(movie.body + found - 8)
            file.write(kind + bytes(4) + self._payload)


def _payload(path: Path, index: int) -> bytes:
    """Read by itself: elsewhere the file is read from another place."""
    with open_source(path) as container:
        for packet in container.demux(container.streams[index]):
            if packet.size:
                return bytes(packet)
    raise ValueError("the cover is empty")
