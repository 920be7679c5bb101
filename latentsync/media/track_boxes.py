"""Sets in a finished MP4 or MOV what FFmpeg's muxer decides by itself, as it was in the source."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

from latentsync.media.boxes import Box, body_of, boxes, find_box

_ENABLED = 1  # the lowest bit of a track's flags
_SUBTITLES = (b"sbtl", b"subp", b"text")
_LONGEST_LIST = 2**20  # bytes
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
        for header, on in zip(headers[: len(shown)], shown, strict=True):
            if header is None:
                continue
            place = header.body + 3  # after its version, and two bytes of its flags
            file.seek(place)
            flags = file.read(1)[0]
            file.seek(place)
            file.write(bytes([flags | _ENABLED if on else flags & ~_ENABLED]))


def keep_edits(source: Path, made: Path, frame: Fraction) -> None:
    """Gives the video of a copy, both MP4 or MOV, the edit list of its source. Raises OSError.

    A video that was cut without encoding may begin within a frame. FFmpeg lets its copy begin with
    the next one, up to a frame early: the audio of players that are exact would be late.
    frame: the length of a frame [seconds]. Lists that differ otherwise stay as they are.
    """
    with source.open("rb") as before, made.open("r+b") as after:
        old, new = _video_edits(before), _video_edits(after)
        if old is None or new is None or old.media_scale != new.media_scale:
            return
        if not new.entries or len(old.entries) != len(new.entries):
            return
        early = [a.media - b.media for a, b in zip(new.entries, old.entries, strict=True)]
        if any(early[:-1]):
            return
        if 0 < Fraction(early[-1], new.media_scale) < frame:
            _begin_earlier(after, new, early[-1])


class _Edit(NamedTuple):
    """length: in the movie's ticks. media: the media's tick that it begins with; -1: nothing."""

    length: int
    media: int


class _Edits(NamedTuple):
    """The edit list of a track: box is that of the list, track that around it. Scales: ticks a
    second of the media, and of the movie."""

    track: Box
    box: Box
    long: bool
    entries: list[_Edit]
    media_scale: int
    movie_scale: int


def _video_edits(file: BinaryIO) -> _Edits | None:
    """Those of the first video; None: there are none."""
    track = next((one.box for one in _tracks(file) if one.handler == b"vide"), None)
    box, media = _child(file, track, b"edts", b"elst"), _child(file, track, b"mdia", b"mdhd")
    movie = find_box(file, b"moov", b"mvhd")
    if track is None or box is None or media is None or movie is None:
        return None
    content = body_of(file, box, _LONGEST_LIST)
    long, count = bool(content[0]), int.from_bytes(content[4:8], "big")
    entry = struct.Struct(">Qqi" if long else ">Iii")
    if count < 1 or len(content) < 8 + count * entry.size:
        return None
    entries = [_Edit(*entry.unpack_from(content, 8 + n * entry.size)[:2]) for n in range(count)]
    scales = (_scale(body_of(file, header, _HEADER)) for header in (media, movie))
    return _Edits(track, box, long, entries, *scales)


def _scale(header: bytes) -> int:
    """Ticks a second: after two dates of four or, in version 1, eight bytes."""
    start = 20 if header[0] else 12
    return int.from_bytes(header[start : start + 4], "big")


def _begin_earlier(file: BinaryIO, edits: _Edits, ticks: int) -> None:
    """Lets the last edit, and its track, begin that much earlier in the media."""
    last = edits.entries[-1]
    more = round(Fraction(ticks * edits.movie_scale, edits.media_scale))
    values = struct.pack(">Qq" if edits.long else ">Ii", last.length + more, last.media - ticks)
    file.seek(edits.box.body + 8 + (len(edits.entries) - 1) * (len(values) + 4))
    file.write(values)
    total = sum(edit.length for edit in edits.entries) + more
    for header, at in (
        (_child(file, edits.track, b"tkhd"), 20),
        (find_box(file, b"moov", b"mvhd"), 16),
    ):
        if header is not None:
            _lengthen(file, header, at, total)


def _lengthen(file: BinaryIO, header: Box, at: int, least: int) -> None:
    """Raises a duration. at: its place in a header of version 0; in version 1, 8 bytes later."""
    file.seek(header.body)
    long = file.read(1) != b"\0"
    place, size = header.body + at + 8 * long, 8 if long else 4
    file.seek(place)
    stated = int.from_bytes(file.read(size), "big")
    file.seek(place)
    file.write(max(stated, least).to_bytes(size, "big"))


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
