"""DigitalSourceType is set in a packet of XMP, and everything else in it stays."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import av
import pytest

from latentsync.media.marks import xmp
from latentsync.media.marks.xmp import COMPOSITE, ENHANCED, NETWORK, SOURCE_TYPES
from tests.support.media_factory import make_video

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PROPERTY = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
TITLE = "{http://purl.org/dc/elements/1.1/}title"


def packet_of(inside: str = "", attribute: str = "") -> bytes:
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description '
        'rdf:about="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" {attribute}>'
        f"<dc:title>Été</dc:title>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def element(kind: str) -> bytes:
    return packet_of(inside=f"<e:DigitalSourceType>{SOURCE_TYPES}{kind}</e:DigitalSourceType>")


FORMS = [
    packet_of(attribute=f'e:DigitalSourceType="{SOURCE_TYPES}digitalCapture"'),
    packet_of(inside=f'<e:DigitalSourceType rdf:resource="{SOURCE_TYPES}digitalCapture"/>'),
    element("digitalCapture"),
]


def values(packet: bytes) -> list[str | None]:
    """All source types of a packet, as another reader of XML finds them."""
    root = ElementTree.fromstring(packet)
    assert not any(PROPERTY in node.attrib for node in root.iter())
    return [node.text for node in root.iter(PROPERTY)]


@pytest.mark.parametrize("packet", [None, packet_of()])
def test_a_packet_without_a_source_type_gets_one(packet: bytes | None) -> None:
    assert values(xmp.amended(packet, NETWORK)) == [SOURCE_TYPES + NETWORK]


@pytest.mark.parametrize("packet", FORMS)
def test_a_weaker_one_is_replaced_in_every_form_and_the_rest_stays(packet: bytes) -> None:
    assert xmp.source_type(packet) == "digitalCapture"
    made = xmp.amended(packet, COMPOSITE)
    assert values(made) == [SOURCE_TYPES + COMPOSITE]
    title = ElementTree.fromstring(made).find(f".//{TITLE}")
    assert title is not None and title.text == "Été"


def test_a_stronger_one_stays() -> None:
    packet = element("trainedAlgorithmicMedia")
    assert xmp.amended(packet, ENHANCED) == packet


@pytest.mark.parametrize(
    "packet", [b"no XML", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>" * 500 + b"</a>" * 500]
)
def test_a_packet_that_is_none_is_refused(packet: bytes) -> None:
    with pytest.raises(xmp.XmpError):
        xmp.source_type(packet)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_ffmpeg_reads_a_packet_that_was_appended(tmp_path: Path, suffix: str) -> None:
    video = make_video(tmp_path / f"a{suffix}")
    packet = xmp.amended(None, NETWORK)
    xmp.append_packet(video, packet)
    assert xmp.read_packet(video) == packet
    with av.open(str(video), options={"export_xmp": "1"}) as container:
        assert NETWORK in container.metadata["xmp"]
