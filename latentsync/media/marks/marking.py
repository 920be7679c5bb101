"""Which marks an output carries: those of its source, and those that say what was done to it.

The header of a file is written before the first frame, with what is planned; finish() corrects it
to what was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from latentsync.media.container import MUXERS
from latentsync.media.marks import aigc, manifests, xmp
from latentsync.media.marks.in_place import shorten
from latentsync.media.marks.pictures import read_picture
from latentsync.media.marks.words import Done, with_sentences
from latentsync.media.probe import VideoInfo

COMMENT, XMP = "comment", "XMP"
_ROOM = 100  # more than the longest source type has beyond the shortest


@dataclass(frozen=True, slots=True, eq=False)
class SourceMarks:
    """What a video or a picture says about itself. packet: of XMP. manifest: whether it carries
    C2PA's."""

    comment: str = ""
    aigc: str = ""
    packet: bytes | None = None
    manifest: bool = False


class Place(Enum):
    """Where XMP goes: into a box (MP4, MOV), the metadata of the file (Matroska, WebM), or into a
    picture, which has no other marks; a bitmap (.bmp) has none at all."""

    BOX = "box"
    TAG = "tag"
    PICTURE = "picture"
    NOWHERE = "nowhere"


_PLACES = {"mp4": Place.BOX, "mov": Place.BOX, None: Place.PICTURE}


def place_in(target: Path) -> Place:
    """target: a video or a picture to be written."""
    suffix = target.suffix.lower()
    return Place.NOWHERE if suffix == ".bmp" else _PLACES.get(MUXERS.get(suffix), Place.TAG)


def read_marks(source: VideoInfo) -> SourceMarks:
    """source: of a file. Raises MediaError and OSError."""
    path = source.path
    if source.picture is not None:
        packet, manifest = read_picture(path, source.picture)
        return SourceMarks(packet=packet, manifest=manifest)
    known = {key.lower(): value for key, value in source.file_metadata.items()}
    text = known.get(XMP.lower(), "")
    tagged = text.encode("utf-8", "surrogateescape") or None  # Matroska has no other place for it
    return SourceMarks(
        known.get(COMMENT, ""),
        known.get(aigc.KEY.lower(), ""),
        xmp.read_packet(path) or tagged,
        manifests.has_manifest(path),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Marking:
    """The marks of one output.

    source: the marks of the video; tags: all its metadata. make: whether marks are made; those of
    the source are kept in any case. producer: who is named by AIGC; None: no such label is made.
    number: of this output.
    """

    source: SourceMarks
    tags: Mapping[str, str]
    place: Place
    make: bool = True
    producer: str | None = None
    number: str = ""

    def header(self, done: Done, *, room: int = 0) -> dict[str, str]:
        """The metadata of the file. room: spare bytes in an XMP packet."""
        own = (COMMENT, aigc.KEY.lower(), XMP.lower())
        kept = {key: value for key, value in self.tags.items() if key.lower() not in own}
        packet = self.packet(done) if self.place is Place.TAG else None
        made = {
            COMMENT: self.comment(done),
            aigc.KEY: self.aigc(done),
            XMP: ""
            if packet is None
            else xmp.padded(packet, room).decode(errors="surrogateescape"),
        }
        return kept | {key: value for key, value in made.items() if value}

    def comment(self, done: Done) -> str:
        return with_sentences(self.source.comment, self.sentences(done))

    def sentences(self, done: Done) -> tuple[str, ...]:
        """Those that are added to the comment."""
        return done.sentences if self.make and self._in_video else ()

    @property
    def _in_video(self) -> bool:
        return self.place in (Place.BOX, Place.TAG)

    def aigc(self, done: Done) -> str:
        """The label; "": none."""
        existing = self.source.aigc
        if not (self.make and self.producer and done.synthetic and self._in_video):
            return existing
        if not existing:
            return aigc.label(self.producer, self.number)
        return aigc.amended(existing, self.producer, self.number) or existing

    def packet(self, done: Done) -> bytes | None:
        """The XMP packet; None: there is nothing to say. One that cannot be read stays as it is."""
        return self.amended(self.source.packet, done)

    def amended(self, packet: bytes | None, done: Done) -> bytes | None:
        """packet: of the source, or made from it; see packet()."""
        made = self.source_type(done)
        if made is None:
            return packet
        try:
            return xmp.amended(packet, made)
        except xmp.XmpError:
            return packet

    def source_type(self, done: Done) -> str | None:
        """What is said in XMP of what was done; None: nothing."""
        return done.source_type if self.make and self.place is not Place.NOWHERE else None

    def planned(self, done: Done) -> dict[str, str]:
        """The header before anything is done. done: what is planned."""
        return self.header(done, room=_ROOM)

    def finish(self, path: Path, *, planned: Done, done: Done) -> None:
        """Makes a finished file say what was done, which is no more than what was planned.

        Raises MediaError and OSError.
        """
        if not self._in_video:
            return  # its XMP is encoded with the pixels
        if done != planned:
            after = self.header(done)
            for key, text in self.planned(planned).items():
                if text != after.get(key, ""):
                    shorten(path, text, after.get(key, ""))
        packet = self.packet(done)
        if packet is not None and self.place is Place.BOX:
            xmp.append_packet(path, packet)

    def notes(self, *, signed: bool) -> Iterator[str]:
        """What is not kept, or cannot be said, a sentence each. signed: whether it is signed."""
        if self.source.manifest and not signed:
            yield (
                "its C2PA manifest is not kept, as none stays valid when a file is changed; to "
                "carry it on, sign the output (output.sign.cert)"
            )
        if self.make and self.place is Place.NOWHERE:
            yield "what is done to it is not said in the output, as a bitmap has no place for XMP"
        if self.make:
            try:
                xmp.source_type(self.source.packet)
            except xmp.XmpError as error:
                yield f"its XMP is kept as it is, and no DigitalSourceType added: {error}"
        existing = self.source.aigc
        if self.make and self.producer and not self._in_video:
            yield "no AIGC label is made, as it is written into videos only"
        elif self.make and self.producer and existing and not aigc.amended(existing, "x", "x"):
            yield "its AIGC label is kept as it is: it names a propagator already, or is no label"
