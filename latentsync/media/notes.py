"""What an output does not keep of the frames, or only seems to; known before any work."""

from __future__ import annotations

from collections.abc import Iterator

from av.video.format import VideoFormat

from latentsync.media.color import foreign_matrix
from latentsync.media.encoder import says_fields
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import EncodeSettings

_BITS = 8  # of a colour, in Frame.pixels
_HDR = {"smpte2084", "arib-std-b67"}


def picture_notes(source: VideoInfo, settings: EncodeSettings) -> Iterator[str]:
    """One sentence for each."""
    path, color = source.path, source.color
    if source.alpha:
        yield f"{path}: its alpha channel (transparency) is not kept"
    if color.transfer in _HDR:
        yield f"{path} is HDR: {_BITS} bits a colour and no mastering data are left"
    elif source.bit_depth > _BITS:
        yield f"{path} has {source.bit_depth} bits a colour: {_BITS} are left"
    if _bits(settings.pix_fmt) > _BITS:
        yield (
            f"pixel format {settings.pix_fmt}: frames are {_BITS} bit inside, so that the output "
            f"holds {_bits(settings.pix_fmt)} bits a colour in name only"
        )
    if source.interlaced and not says_fields(source, settings.codec):
        yield f"{path} is interlaced, which the output does not say"
    if foreign_matrix(color):
        yield f"{path}: its colour matrix, {color.matrix}, is unknown here: colours may be off"


def _bits(pix_fmt: str) -> int:
    return max(component.bits for component in VideoFormat(pix_fmt, 16, 16).components)
