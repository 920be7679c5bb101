"""What the encoded video does not keep of the source, and which settings have no effect."""

from __future__ import annotations

from collections.abc import Iterator

from latentsync.media.color import unknown_matrix
from latentsync.media.encoder import can_mark_fields
from latentsync.media.encoder_options import bits
from latentsync.media.encoders import ENCODERS
from latentsync.media.pixel_formats import Depth, losses
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import SOURCE, USUAL_ROI_OFFSET, EncodeSettings

_PLAYED: dict[str, tuple[str, int]] = {"h264": ("yuv420p", 8), "hevc": ("yuv420p10le", 10)}
"""Codec -> the 4:2:0 format with most bits that common players take, and these bits."""


def video_notes(source: VideoInfo, asked: EncodeSettings, made: EncodeSettings) -> Iterator[str]:
    """One sentence for each. made: what was chosen for what was asked."""
    path, color, encoder = source.path, source.color, ENCODERS[made.codec]
    if source.alpha and not (_decoded_alpha(source) and Depth.of(made.pix_fmt).alpha):
        kept = ": a .mov file would keep it" if _decoded_alpha(source) else ""
        yield f"{path}: its alpha channel (transparency) is not kept{kept}"
    for loss in losses(source.pix_fmt, made.pix_fmt, made.codec):
        yield f"{path} {loss}"
    if source.hdr.static and not encoder.keeps_hdr:
        yield f"{path}: {made.codec} does not write its mastering display and content light"
    for kind in source.hdr.dynamic:
        if kind not in encoder.dynamic:
            yield f"{path}: {kind} is not kept"
    if source.interlaced and not can_mark_fields(source, made.codec):
        yield f"{path} is interlaced; the output is not marked as such"
    if unknown_matrix(color):
        yield f"{path}: its colour matrix {color.matrix} is not supported: colours may be off"
    if source.bit_depth <= 8 < bits(made.pix_fmt) and asked.pix_fmt != SOURCE:
        yield f"{path} has 8 bits per channel: {made.pix_fmt} has more in name only"
    yield from _without_effect(made)
    yield from _played_by_few(source, asked, made)


def _decoded_alpha(source: VideoInfo) -> bool:
    return Depth.of(source.pix_fmt).alpha


def _without_effect(made: EncodeSettings) -> Iterator[str]:
    usual = EncodeSettings()
    given = {
        "crf": (made.crf, usual.crf),
        "preset": (made.preset, usual.preset),
        "finer_mouth": (made.roi_offset or USUAL_ROI_OFFSET, USUAL_ROI_OFFSET),
    }
    for name, (value, default) in given.items():
        if name in ENCODERS[made.codec].ignored and value != default:
            yield f"output.{name}={value} has no effect: {made.codec} has no such setting"


def _played_by_few(source: VideoInfo, asked: EncodeSettings, made: EncodeSettings) -> Iterator[str]:
    """Only where nobody asked for it, and the source is not like this itself."""
    codec = ENCODERS[made.codec].codec
    if asked.pix_fmt != SOURCE or codec not in _PLAYED or codec == source.codec:
        return
    everywhere, most = _PLAYED[codec]
    held = Depth.of(made.pix_fmt)
    if (held.across, held.down) != (2, 2) or held.bits > most:
        names = {"h264": "H.264", "hevc": "HEVC"}
        yield (
            f"{names[codec]} with {made.pix_fmt}, as the video has it, plays in few players; "
            f"output.pix_fmt={everywhere} plays in most"
        )
