"""Still pictures carry marks as well: XMP beside all else that they say, and C2PA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentsync.errors import MediaError
from latentsync.media.marks import signing, xmp
from latentsync.media.marks.certificates import CHAIN, KEY, make_certificate
from latentsync.media.marks.manifests import read_manifest
from latentsync.media.marks.marking import Marking, Place, SourceMarks, place_in, read_marks
from latentsync.media.marks.words import Done, Tool
from latentsync.media.picture.coding import PictureSettings, encoded
from latentsync.media.picture.info import read_info
from latentsync.media.picture.jpeg import LONGEST_XMP
from latentsync.media.probe import probe
from tests.support.media_factory import moving_pattern

KINDS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF"}
PACKET = xmp.amended(None, "digitalCapture")
DPI = (150.0, 150.0)
DONE = Done(restored=Tool("GFPGAN", True))
MARKING = Marking(SourceMarks(), {}, Place.PICTURE)


def mark(packet: bytes) -> bytes:
    return MARKING.amended(packet or None, DONE) or b""


def picture(path: Path, packet: bytes | None = PACKET) -> Path:
    """Lossless where its kind can be."""
    image = Image.fromarray(next(moving_pattern()))
    image.save(path, dpi=DPI, **_options(path.suffix, packet))
    return path


def _options(suffix: str, packet: bytes | None) -> dict[str, Any]:
    lossless = {"lossless": True} if suffix == ".webp" else {}
    if packet is None:
        return lossless
    if suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return {"pnginfo": info}
    return {"tiffinfo": {700: packet}} if suffix == ".tif" else {"xmp": packet, **lossless}


def marked(source: Path, target: Path, *, marking=mark) -> Path:
    info, kind = read_info(source), KINDS[target.suffix[1:]].lower()
    assert info is not None
    pixels = np.array(Image.open(source))
    made = encoded(pixels, source, info, PictureSettings(kind), mark=marking)
    target.write_bytes(b"".join(made))
    return target


@pytest.mark.parametrize("packet", [PACKET, None])
@pytest.mark.parametrize("suffix", KINDS)
def test_a_source_type_is_added_and_all_else_stays(tmp_path, suffix, packet) -> None:
    source = picture(tmp_path / f"a.{suffix}", packet)
    plain, target = (tmp_path / f"{name}.{suffix}" for name in ("plain", "marked"))
    marked(source, plain, marking=bytes)
    with Image.open(marked(source, target)) as made, Image.open(plain) as same:
        assert xmp.source_type(made.info["xmp"]) == xmp.NETWORK
        assert xmp.source_type(same.info.get("xmp")) == (packet and "digitalCapture")
        assert made.info.get("dpi") == same.info.get("dpi")
        assert (np.array(made) == np.array(same)).all()
    assert xmp.source_type(read_marks(probe(target)).packet) == xmp.NETWORK


@pytest.mark.parametrize("suffix", KINDS)
def test_a_picture_of_another_kind_is_marked_too(tmp_path, suffix) -> None:
    other = "webp" if suffix == "png" else "png"
    target = marked(picture(tmp_path / f"a.{other}"), tmp_path / f"b.{suffix}")
    assert xmp.source_type(read_marks(probe(target)).packet) == xmp.NETWORK


def test_a_packet_that_a_jpeg_cannot_hold_stays_as_it_was(tmp_path) -> None:
    source = picture(tmp_path / "a.jpg")
    target = marked(source, tmp_path / "b.jpg", marking=lambda _: b" " * (LONGEST_XMP + 1))
    assert read_marks(probe(target)).packet == PACKET


@pytest.mark.parametrize("suffix", KINDS)
def test_a_signed_picture_is_valid_until_a_byte_changes(tmp_path, suffix) -> None:
    make_certificate(tmp_path / "own", "Ann")
    files = [tmp_path / "own" / name for name in (CHAIN, KEY)]
    identity = signing.load_identity(*files, ("a program", "1"))
    path = picture(tmp_path / f"a.{suffix}")
    assert not read_marks(probe(path)).manifest
    assert signing.sign(path, identity, [signing.Action("c2pa.edited", "")], "a", path) == "Valid"
    assert read_marks(probe(path)).manifest
    again = marked(path, tmp_path / f"b.{suffix}")
    assert not read_marks(probe(again)).manifest
    data = bytearray(path.read_bytes())
    at = data.index(b"digitalCapture")
    data[at] ^= 1
    path.write_bytes(data)
    assert read_manifest(path).state == "Invalid"


def test_what_a_picture_cannot_say_is_named() -> None:
    assert place_in(Path("a.bmp")) is Place.NOWHERE
    bitmap = Marking(SourceMarks(), {}, Place.NOWHERE, producer="x")
    assert bitmap.packet(DONE) is None and bitmap.aigc(DONE) == ""
    notes = list(bitmap.notes(signed=False))
    assert "a bitmap has no place for XMP" in notes[0] and "AIGC" in notes[1]
    assert MARKING.sentences(DONE) == ()


def test_a_damaged_picture_is_an_error(tmp_path) -> None:
    path = picture(tmp_path / "a.png")
    info = probe(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(MediaError):
        read_marks(info)
