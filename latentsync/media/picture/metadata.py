"""What a picture says besides its pixels, in the terms that all kinds of pictures share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

from latentsync.media.picture import tiff
from latentsync.media.picture.exif import HEADER, UPRIGHT, upright_exif, upright_xmp


@dataclass(frozen=True, slots=True)
class Metadata:
    """exif, icc, xmp: as in the file, EXIF data after its header of six bytes; empty: none. dpi:
    dots per inch, x and y."""

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None

    def with_xmp(self, xmp: bytes) -> Metadata:
        return replace(self, xmp=xmp)

    def colors_only(self) -> Metadata:
        return Metadata(icc=self.icc, dpi=self.dpi)

    def without_profile(self) -> Metadata:
        return Metadata(self.exif, b"", self.xmp, self.dpi)

    def upright(self) -> Metadata:
        """For pixels that were turned upright."""
        return Metadata(upright_exif(self.exif), self.icc, upright_xmp(self.xmp), self.dpi)


def metadata_of(image: Image.Image) -> Metadata:
    """image: of any kind, as Pillow opens it."""
    info = image.info
    exif = _of_tiff(image) if image.format == "TIFF" else info.get("exif", b"")
    dpi = info.get("dpi")
    return Metadata(
        exif if not exif or exif.startswith(HEADER) else HEADER + exif,
        info.get("icc_profile") or b"",
        info.get("xmp") or b"",
        None if dpi is None or min(dpi) <= 0 else (float(dpi[0]), float(dpi[1])),
    )


def _of_tiff(image: Image.Image) -> bytes:
    """Its tags are EXIF data, but for those of the pixels."""
    exif = image.getexif()
    for tag in set(exif) & (tiff.OF_PIXELS | {tiff.XMP, tiff.PROFILE}):
        del exif[tag]
    exif[tiff.ORIENTATION] = UPRIGHT  # Pillow turns a TIFF upright
    return exif.tobytes()
