"""XMP packets: the property DigitalSourceType is read, and set; all else of a packet stays.

The vocabulary is the IPTC's. A packet is the bytes that a file holds: UTF-8 XML, with or without
its ``<?xpacket?>`` lines. No document type is accepted, so no entity is ever expanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.dom import minidom
from xml.parsers import expat

from latentsync.media.boxes import append_user_box, body_of, find_box, user_boxes

USER_TYPE = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""Of the uuid box with a file's XMP packet."""
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
NETWORK = "compositeWithTrainedAlgorithmicMedia"
COMPOSITE = "composite"
ENHANCED = "algorithmicallyEnhanced"

_RANKS = {
    "trainedAlgorithmicMedia": 5,
    NETWORK: 4,
    **dict.fromkeys(("compositeSynthetic", "algorithmicMedia", "dataDrivenMedia"), 3),
    **dict.fromkeys(("virtualRecording", "digitalCreation", "digitalArt"), 3),
    COMPOSITE: 2,
    ENHANCED: 1,
}
"""How much of a video was not filmed; others, such as digitalCapture, have 0."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_PROPERTY = "DigitalSourceType"
_BLANK = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    f'<x:xmpmeta xmlns:x="{_META}"><rdf:RDF xmlns:rdf="{_RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()
_DEEPEST = 100  # elements in each other
_LONGEST = 16 * 2**20  # bytes of a packet


class XmpError(ValueError):
    """A packet that cannot be read; the message says why."""


def read_packet(path: Path) -> bytes | None:
    """The XMP packet of an MP4 or MOV; None: it has none. Raises OSError."""
    with path.open("rb") as file:
        return _packet(file)


def _packet(file: BinaryIO) -> bytes | None:
    box = next(user_boxes(file, USER_TYPE), None) or find_box(file, b"moov", b"udta", b"XMP_")
    return None if box is None else body_of(file, box, _LONGEST)


def append_packet(path: Path, packet: bytes) -> None:
    """Appends the packet to an MP4 or MOV. Raises OSError."""
    append_user_box(path, USER_TYPE, packet)


def source_type(packet: bytes | None) -> str | None:
    """The last part of the packet's DigitalSourceType; None: it states none. Raises XmpError."""
    if packet is None:
        return None
    return next((_last_part(_value(node)) for node in _properties(_parsed(packet))), None)


def stronger(one: str | None, other: str | None) -> str | None:
    """Of two source types that are both true of a video, the one that says more."""
    known = [name for name in (one, other) if name is not None]
    return max(known, key=lambda name: _RANKS.get(name, 0), default=None)


def amended(packet: bytes | None, made: str) -> bytes:
    """The packet with a DigitalSourceType; all its other properties stay.

    packet: None: a new one is made. made: what was done, the last part of a source type; a stronger
    one in the packet stays. Raises XmpError.
    """
    document = _parsed(_BLANK if packet is None else packet)
    found = list(_properties(document))
    present = next((_last_part(_value(node)) for node in found), None)
    if present is not None and stronger(present, made) == present:
        return _BLANK if packet is None else packet
    for node in found:
        _remove(node)
    _add(document, SOURCE_TYPES + made)
    return "".join(node.toxml() for node in document.childNodes).encode()


def padded(packet: bytes, room: int) -> bytes:
    """The packet with that many spaces before its end, as XMP allows, for a later longer one."""
    end = packet.rfind(b"<?xpacket end=")
    end = len(packet) if end < 0 else end
    return packet[:end] + b" " * room + packet[end:]


def _parsed(packet: bytes) -> minidom.Document:
    data = packet.strip(b"\0 \t\r\n")
    _check(data)
    try:
        return minidom.parseString(data)
    except (expat.ExpatError, ValueError) as error:  # ValueError: a name without its namespace
        raise XmpError(str(error)) from error


def _check(data: bytes) -> None:
    """Raises XmpError: no XML, or with a document type, or nested too deeply."""
    depth = 0

    def refuse(*_: object) -> None:
        raise XmpError("it has a document type")

    def enter(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise XmpError("its elements are nested too deeply")

    def leave(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = enter, leave
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmpError(str(error)) from error


def _properties(document: minidom.Document) -> Iterator[minidom.Attr | minidom.Element]:
    """Every DigitalSourceType of the packet, an attribute or an element of a description."""
    for description in _descriptions(document):
        attribute = description.getAttributeNodeNS(_IPTC, _PROPERTY)
        if attribute is not None:
            yield attribute
        for child in description.childNodes:
            if (child.namespaceURI, child.localName) == (_IPTC, _PROPERTY):
                yield child


def _value(node: minidom.Attr | minidom.Element) -> str:
    if isinstance(node, minidom.Attr):
        return node.value
    texts = (child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE)
    return node.getAttributeNS(_RDF, "resource") or "".join(texts)


def _last_part(value: str) -> str:
    return value.strip().rstrip("/").rsplit("/", 1)[-1]


def _remove(node: minidom.Attr | minidom.Element) -> None:
    if isinstance(node, minidom.Attr):
        node.ownerElement.removeAttributeNode(node)
    else:
        node.parentNode.removeChild(node)


def _add(document: minidom.Document, value: str) -> None:
    place = next(iter(document.getElementsByTagNameNS(_RDF, "RDF")), None)
    if place is None:
        raise XmpError("it holds no rdf:RDF")
    description = document.createElementNS(_RDF, "rdf:Description")
    for prefix, name in (("rdf", _RDF), ("Iptc4xmpExt", _IPTC)):
        description.setAttributeNS(_XMLNS, f"xmlns:{prefix}", name)
    # All descriptions of one packet are about the same.
    about = next((one.getAttributeNS(_RDF, "about") for one in _descriptions(document)), "")
    description.setAttributeNS(_RDF, "rdf:about", about)
    element = document.createElementNS(_IPTC, f"Iptc4xmpExt:{_PROPERTY}")
    element.appendChild(document.createTextNode(value))
    description.appendChild(element)
    place.appendChild(description)


def _descriptions(document: minidom.Document) -> Iterator[minidom.Element]:
    """Those of the file itself, not of what a property describes."""
    for place in document.getElementsByTagNameNS(_RDF, "RDF"):
        for child in place.childNodes:
            if (child.namespaceURI, child.localName) == (_RDF, "Description"):
                yield child
