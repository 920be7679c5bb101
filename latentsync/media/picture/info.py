"""What kind of picture a file holds; a file that is none is left to the video readers.

The content decides, not the name: a .jpg that is a PNG is read as one.
"""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageCms

from latentsync.errors import MediaError
from latentsync.media.picture import jpeg, png, tiff
from latentsync.media.picture.exif import UPRIGHT, orientation_of

MOST_PIXELS = 178_956_970
"""Pillow refuses more, as a few bytes of a file can ask for any number. 8K has 33 million."""

_SIGNATURES = (png.SIGNATURE, b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM")
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_VIDEOS = (".mjpeg", ".mjpg")  # JPEGs, one after the other
_CHANNELS = {
    "1": "L",
    "L": "L",
    "I;16": "L",
    "I;16B": "L",
    "LA": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
}
"""Pillow's mode -> the channels of the pixels."""


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """A picture as it is stored.

    kind: a value of kinds.KINDS. width, height: before it is turned upright. channels: "L", "LA",
    "RGB" or "RGBA". bits: per channel, 8 or 16. orientation: of its EXIF data, 1 to 8. lossless:
    whether its pixels are stored without loss. notes: what no output keeps of it, a sentence each.
    profile: the name of its ICC profile; "": it has none.
    """

    kind: str
    width: int
    height: int
    channels: str
    bits: int = 8
    orientation: int = UPRIGHT
    lossless: bool = True
    notes: tuple[str, ...] = ()
    profile: str = ""

    @property
    def alpha(self) -> bool:
        return self.channels.endswith("A")

    @property
    def grey(self) -> bool:
        return self.channels.startswith("L")


def read_info(path: Path) -> PictureInfo | None:
    """None: the file is no still picture. Raises MediaError for a picture that is damaged, too
    large, or of a kind that is not processed; OSError where the file cannot be read."""
    with path.open("rb") as file:
        start = file.read(16)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIC:
        raise MediaError("HEIC pictures are not read", path, "save it as JPEG, PNG or TIFF")
    webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    if not (webp or start.startswith(_SIGNATURES)) or path.suffix.lower() in _VIDEOS:
        return None
    if start.startswith(b"BM") and not _opens(path):
        return None
    with opened(path) as image:
        if image.format == "PNG" and getattr(image, "is_animated", False):
            return None  # FFmpeg reads it as a video
        return _described(path, image)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture, not decoded yet. What Pillow raises within becomes a MediaError."""
    try:
        with Image.open(path) as image:
            yield image
    except Image.DecompressionBombError:
        remedy = f"at most {MOST_PIXELS // 10**6} million pixels are processed: scale it down"
        raise MediaError("the picture is too large", path, remedy) from None
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        what = "the picture is damaged or incomplete"
        raise MediaError(what, path, f"{reason}: copy it again, or repair it") from error


def _opens(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    except OSError:
        return False


def _described(path: Path, image: Image.Image) -> PictureInfo:
    kind = {"MPO": "jpeg"}.get(image.format or "", (image.format or "").lower())
    if kind in ("webp", "tiff") and getattr(image, "n_frames", 1) > 1:
        what = "an animated picture" if kind == "webp" else "a TIFF of several pages"
        raise MediaError(f"{what} is not processed", path, "save each picture as a file")
    if image.mode not in _CHANNELS:
        remedy = "convert it to RGB or greyscale of 8 or 16 bits per channel"
        raise MediaError(f"a picture in {image.mode} is not processed", path, remedy)
    channels = _CHANNELS[image.mode]
    if "transparency" in image.info and not channels.endswith("A"):
        channels += "A"
    info = PictureInfo(kind, *image.size, channels, notes=tuple(_notes(path, image)))
    info = replace(info, profile=_profile(image.info.get("icc_profile")))
    if kind == "tiff":
        return _tiff(path, image, info)
    info = replace(info, orientation=orientation_of(image.info.get("exif", b"")))
    with path.open("rb") as file, png.mapped(file) as data:
        if kind == "png":
            return _png(data, info)
        if kind == "jpeg":
            notes = (*info.notes, *_unkept(path, data))
            return replace(info, lossless=False, notes=notes)
        return replace(info, lossless=kind != "webp" or _is_lossless(data))


def _profile(icc: bytes | None) -> str:
    if not icc:
        return ""
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip()
    except (OSError, ImageCms.PyCMSError):
        return "a profile that cannot be read"


def _notes(path: Path, image: Image.Image) -> Iterator[str]:
    if image.mode in ("P", "PA"):
        yield f"{path}: its palette becomes full colour"
    if image.mode == "1":
        yield f"{path}: its black and white become greyscale"
    if image.mode == "RGBX":
        yield f"{path}: its fourth channel, which is not transparency, is not kept"


def _tiff(path: Path, image: Image.Image, info: PictureInfo) -> PictureInfo:
    form = tiff.form_of(image, path)
    info = replace(info, width=form.width, height=form.height, orientation=form.orientation)
    return replace(info, bits=form.bits)


def _png(data: mmap.mmap, info: PictureInfo) -> PictureInfo:
    for _ in png.chunks(data):  # raises where the file is incomplete
        pass
    return replace(info, bits=16 if png.bits(data) == 16 else 8)


def _unkept(path: Path, data: mmap.mmap) -> Iterator[str]:
    if more := jpeg.after_end(data):
        what = "as a gain map, a preview or a video of the moment"
        yield f"{path}: {more} bytes after the picture are not kept, {what}"


def _is_lossless(data: mmap.mmap) -> bool:
    """Of a WebP, by its first chunk with pixels."""
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        place += 8 + size + size % 2
    return False
