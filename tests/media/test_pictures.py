"""A picture is read upright and written with all that it says besides its pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from latentsync.errors import MediaError
from latentsync.media.picture.still import check_picture, read_still
from latentsync.media.picture.writer import PictureWriter
from latentsync.media.probe import probe
from tests.support.pictures import ICC, SAID, STORED, XMP, encoded, exif_of, said_by, smooth

LOSSLESS = {".png": {}, ".webp": {"lossless": True, "exact": True}, ".tif": {}}
SUFFIXES = [*LOSSLESS, ".jpg"]


def _made(path: Path, pixels: np.ndarray, *, orientation: int = 1) -> Path:
    """A picture that says all there is to say; pixels: upright."""
    options = dict(LOSSLESS.get(path.suffix, {"quality": 95, "subsampling": 0}))
    if path.suffix == ".png":
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    elif path.suffix != ".tif":
        options["xmp"] = XMP
    stored = np.ascontiguousarray(STORED[orientation](pixels))
    Image.fromarray(stored).save(
        path, exif=exif_of(orientation, xmp=path.suffix == ".tif"), icc_profile=ICC, **options
    )
    return path


def _through(source: Path, target: Path, *, change: bool = False) -> tuple[list[str], np.ndarray]:
    """Reads and writes it -> notes, the pixels that were written, upright."""
    info = probe(source)
    frame = read_still(info)
    if change:
        pixels = frame.pixels.copy()
        pixels[8:16, 8:16] //= 2
        frame = replace(frame, pixels=pixels)
    settings, notes = check_picture(target, info, quality=None, size=(info.width, info.height))
    with PictureWriter(target, info, settings, notes=notes) as writer:
        writer.write_converted(writer.convert(frame))
    return list(notes), frame.pixels


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_stays_turned_as_it_was_and_says_what_it_said(suffix, orientation, tmp_path):
    pixels = smooth()
    source = _made(tmp_path / f"in{suffix}", pixels, orientation=orientation)
    notes, written = _through(source, tmp_path / f"out{suffix}", change=True)
    assert notes == []
    with Image.open(source) as before, Image.open(tmp_path / f"out{suffix}") as after:
        assert said_by(after) == said_by(before)
        assert said_by(before) == SAID
        assert after.size == before.size
        shown = np.asarray(ImageOps.exif_transpose(after))
    assert np.abs(shown.astype(int) - written).max() <= (0 if suffix in LOSSLESS else 14)


@pytest.mark.parametrize("target", [".png", ".webp", ".tif"])
def test_one_of_another_kind_is_stored_upright_and_says_the_same(target, tmp_path):
    source = _made(tmp_path / "in.jpg", smooth(), orientation=6)
    _, written = _through(source, tmp_path / f"out{target}")
    with Image.open(tmp_path / f"out{target}") as after:
        assert said_by(after) == SAID
        assert after.getexif().get(0x0112, 1) == 1
        assert after.size == (48, 32)
        assert np.abs(np.asarray(after).astype(int) - written).max() <= 12


def test_the_unchanged_part_of_a_jpeg_comes_back_as_it_was(tmp_path):
    source = tmp_path / "in.jpg"
    source.write_bytes(encoded(smooth(96, 64), "JPEG", quality=70, subsampling=2))
    _through(source, tmp_path / "out.jpg", change=True)
    with Image.open(source) as before, Image.open(tmp_path / "out.jpg") as after:
        assert after.quantization == before.quantization
        difference = np.asarray(before).astype(int) - np.asarray(after)
    assert (difference[24:] ** 2).mean() < 0.2  # 55 dB


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_is_kept(suffix, tmp_path):
    alpha = np.linspace(0, 255, 48 * 32).astype(np.uint8).reshape(32, 48, 1)
    picture = Image.fromarray(np.dstack([smooth(), alpha]))
    picture.save(tmp_path / f"in{suffix}", **LOSSLESS[suffix])
    notes, _ = _through(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", change=True)
    assert notes == []
    assert np.array_equal(np.asarray(Image.open(tmp_path / f"out{suffix}"))[..., 3:], alpha)


def test_transparency_that_a_jpeg_cannot_hold_is_named_and_laid_over_white(tmp_path):
    clear = np.dstack([smooth(), np.zeros((32, 48, 1), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "in.png")
    notes, _ = _through(tmp_path / "in.png", tmp_path / "out.jpg")
    assert [note.split(": ", 1)[1] for note in notes] == [
        "jpeg has no transparency: it is laid over white"
    ]
    assert np.asarray(Image.open(tmp_path / "out.jpg")).min() == 255


def _deep(path: Path, channels: int) -> np.ndarray:
    values = np.random.default_rng(1).integers(0, 65536, (32, 48, channels)).astype(np.uint16)
    cv2.imwrite(str(path), values)
    return values


@pytest.mark.parametrize("name", ["in.png", "in.tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_kept(name, channels, tmp_path):
    source, target = tmp_path / name, tmp_path / f"out{Path(name).suffix}"
    values = _deep(source, channels)
    assert _through(source, target)[0] == []
    written = cv2.imread(str(target), cv2.IMREAD_UNCHANGED).reshape(values.shape)
    assert np.array_equal(written, values)


def test_16_bits_that_a_jpeg_cannot_hold_are_named(tmp_path):
    _deep(tmp_path / "in.png", 3)
    notes, _ = _through(tmp_path / "in.png", tmp_path / "out.jpg")
    assert notes == [f"{tmp_path / 'in.png'} has 16 bits per channel: 8 are kept"]


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_palettes_and_black_and_white_are_read(mode, tmp_path):
    Image.fromarray(smooth()).convert(mode).save(tmp_path / "in.png")
    notes, written = _through(tmp_path / "in.png", tmp_path / "out.png")
    assert len(notes) == (mode != "L")
    with Image.open(tmp_path / "out.png") as after:
        assert after.mode == ("RGB" if mode == "P" else "L")
        assert np.array_equal(np.asarray(after.convert("RGB")), written)


def test_the_content_says_what_a_picture_is_not_its_name(tmp_path):
    (tmp_path / "in.png").write_bytes(encoded(smooth(), "JPEG"))
    assert probe(tmp_path / "in.png").codec == "jpeg"
    _through(tmp_path / "in.png", tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").format == "PNG"


PNG = encoded(smooth(), "PNG")
JPEG = encoded(smooth(), "JPEG")
FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (48, 32))]}
BAD = {
    "cut.png": (PNG[: len(PNG) // 2], "damaged or incomplete"),
    "cut.jpg": (JPEG[: len(JPEG) - 99], "damaged or incomplete"),
    "start.png": (PNG[:20], "damaged or incomplete"),
    "changed.png": (PNG[:400] + b"\0\0\0" + PNG[403:], "damaged or incomplete"),
    "cmyk.jpg": (encoded(np.zeros((8, 8, 4), np.uint8), "PNG"), None),
    "moving.webp": (encoded(smooth(), "WEBP", **FRAMES), "animated"),
    "pages.tif": (encoded(smooth(), "TIFF", **FRAMES), "several pages"),
    "photo.heic": (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC pictures are not read"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_processed_is_said_in_one_line(name, tmp_path):
    data, said = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    if name == "cmyk.jpg":
        Image.fromarray(smooth()).convert("CMYK").save(path)
        said = "a picture in CMYK is not processed"
    with pytest.raises(MediaError, match=said) as caught:
        read_still(probe(path))
    assert "\n" not in str(caught.value)


def test_an_output_that_fails_leaves_nothing(tmp_path):
    info = probe(_made(tmp_path / "in.png", smooth()))
    settings, _ = check_picture(tmp_path / "out.png", info, quality=None, size=(48, 32))
    with pytest.raises(RuntimeError), PictureWriter(tmp_path / "out.png", info, settings, notes=()):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
