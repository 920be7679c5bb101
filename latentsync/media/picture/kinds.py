"""Which names are those of pictures; nothing is opened, and nothing slow is imported."""

from __future__ import annotations

from pathlib import Path

KINDS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
}
"""Suffix of a picture -> its kind."""


def is_picture(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in KINDS


def name_beside(target: Path) -> str:
    """What the files beside an output are named after: its name without the suffix; that of a
    picture with it, as a camera gives a picture and the video of the moment the same name."""
    return target.name if is_picture(target) else target.stem


def compared(target: Path) -> Path:
    """The output beside it that shows before | after."""
    return target.with_name(f"{target.stem}_compare{target.suffix}")
