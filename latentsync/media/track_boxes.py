"""Sets in a finished MP4 or MOV what FFmpeg's muxer decides by itself, as it was in the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from latentsync.media.boxes import Box, body_of, boxes, find_box

_ENABLED = 1  # the lowest bit of a track's flags
_SUBTITLES = (b"sbtl", b"subp", b"text")
_HEADER = 128  # bytes, more than any box read here needs


class _Track(NamedTuple):
    """A track's box, and its handler: b"vide", b"soun", b"sbtl" ..."""

    box: Box
    handler: bytes


def show_subtitles(path: Path, shown: Sequence[bool]) -> None:
    """Switches the file's subtitles on and off, in their order. Raises OSError.

    FFmpeg switches the first one on where none is. With fewer subtitles nothing is done; one more
    holds the names of the chapters, and is the last.
    """
    with path.open("r+b") as file:
        tracks = [track.box for track in _tracks(file) if track.handler in _SUBTITLES]
        headers = [_child(file, track, b"tkhd") for track in tracks]
        if len(headers) < len(shown):
            return
        for header, on in zip(headers, shown, strict=False):
            if header is None:
                continue
            place = header.body + 3  # after its version, and two bytes of its flags
            file.seek(place)
            flags = file.read(1)[0]
            file.seek(place)
            file.write(bytes([flags | _ENABLED if on else flags & ~_ENABLED]))


def _tracks(file: BinaryIO) -> Iterator[_Track]:
    movie = find_box(file, b"moov")
    for box in list(_children(file, movie)):
        handler = _child(file, box, b"mdia", b"hdlr") if box.kind == b"trak" else None
        if handler is not None:
            yield _Track(box, body_of(file, handler, _HEADER)[8:12])


def _children(file: BinaryIO, box: Box | None) -> Iterator[Box]:
    return iter(()) if box is None else boxes(file, box.body, box.end)


def _child(file: BinaryIO, box: Box | None, *path: bytes) -> Box | None:
    """The first box of that kind in the first one of the kind before, and so on."""
    for kind in path:
        box = next((one for one in _children(file, box) if one.kind == kind), None)
    return box
