"""A picture as the one frame of a video, and the checks of a picture to be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from latentsync.errors import MediaError
from latentsync.media.encoder_options import bits
from latentsync.media.picture.coding import PictureSettings, stored_form
from latentsync.media.picture.info import PictureInfo
from latentsync.media.picture.kinds import KINDS, is_picture
from latentsync.media.picture.pixels import read_pixels, to_rgb
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import one_of
from latentsync.media.target import check_place
from latentsync.types import Frame

LARGEST = {"jpeg": 65_500, "webp": 16_383}
"""Most columns or rows, by kind; the others have no limit that matters."""


def read_still(source: VideoInfo) -> Frame:
    """Upright. Raises MediaError where the picture is damaged, or changed meanwhile."""
    assert source.picture is not None
    stored = read_pixels(source.path, source.picture)
    if source.picture.kind != "tiff":
        stored = source.orientation.apply(stored)
    pixels, alpha = to_rgb(stored if stored.ndim == 3 else stored[..., None])
    if pixels.shape[:2] != (source.height, source.width):
        remedy = "do not change the picture while it is processed"
        raise MediaError("the picture has another size now", source.path, remedy)
    return Frame(0, 0.0, 0, pixels, alpha)


def check_picture(
    target: Path, source: VideoInfo, *, quality: int | None, size: tuple[int, int]
) -> tuple[PictureSettings, tuple[str, ...]]:
    """-> how it is encoded, and what it does not keep of the source, a sentence each.

    size: (width, height) of the frame, upright; another one than the source's is a picture that
    shows more. Raises MediaError where it cannot be written; writes nothing.
    """
    assert source.picture is not None
    if not is_picture(target):
        remedy = f"end its name in {one_of(KINDS)}; with --audio_path it becomes a video"
        raise MediaError("a picture is written as a picture", target, remedy)
    check_place(target, KINDS, [source.path])
    kind = KINDS[target.suffix.lower()]
    beside = size != (source.width, source.height)
    settings = PictureSettings(kind, quality, beside)
    if max(size) > (most := LARGEST.get(kind, max(size))):
        what = f"{kind} takes at most {most} columns and rows"
        raise MediaError(what, f"{size[0]}x{size[1]}", "choose another kind, such as .png")
    return settings, (*source.picture.notes, *_notes(source.path, source.picture, kind))


def check_video_name(target: Path) -> None:
    """Raises MediaError where a video would be named as a picture."""
    if is_picture(target):
        remedy = (
            "end its name in .mp4, .mov, .mkv or .webm; --preview N writes N of its frames as PNG"
        )
        raise MediaError("a video is not written as a picture", target, remedy)


def spoken_notes(source: VideoInfo, pix_fmt: str) -> Iterator[str]:
    """What a video of the picture does not keep, besides what media.target names; of a video
    nothing."""
    if source.picture is None:
        return
    profile, path = source.picture.profile, source.path
    yield from source.picture.notes
    if source.picture.bits > bits(pix_fmt):
        yield f"{path} has {source.picture.bits} bits per channel: {bits(pix_fmt)} are kept"
    if profile and "sRGB" not in profile and "P3" not in profile:
        what = f"{path}: a video has no ICC profile: convert the picture from {profile} to sRGB"
        yield f"{what} first, or its colours will be off"


def _notes(path: Path, info: PictureInfo, kind: str) -> Iterator[str]:
    channels, bits = stored_form(info, kind)
    if bits < info.bits:
        yield f"{path} has {info.bits} bits per channel: {bits} are kept"
    if info.alpha and not channels.endswith("A"):
        yield f"{path}: {kind} has no transparency: it is laid over white"
    if info.grey and not channels.startswith("L"):
        yield f"{path} is greyscale: it is written as colour, without its ICC profile"
    if kind == "bmp" != info.kind:
        yield f"{path}: bmp keeps no EXIF data, ICC profile and XMP"
