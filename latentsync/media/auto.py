"""Which encoder and which pixel format an output gets where the settings leave it open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from av.video.format import VideoFormat

from latentsync.errors import ConfigError
from latentsync.media.color import HDR_TRANSFERS
from latentsync.media.container import MUXERS
from latentsync.media.encoder_options import bits
from latentsync.media.encoders import ENCODERS, refusal, usable_formats
from latentsync.media.pixel_formats import Depth, by_loss
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import AUTO, SOURCE, EncodeSettings, one_of

_EDITING = {"prores": "prores_ks", "ffv1": "ffv1"}
"""Codecs of archives and editors -> their encoders."""
_ALL = ("libx264", "libx265", "libsvtav1", "prores_ks", "ffv1")


def chosen(
    settings: EncodeSettings, source: VideoInfo, target: Path, size: tuple[int, int]
) -> EncodeSettings:
    """The settings with a named encoder and pixel format, which work on this machine.

    size: (width, height) that is encoded. Raises ConfigError: the encoder does not fit into the
    container, does not write the pixel format, or does not work here.
    """
    muxer = MUXERS[target.suffix.lower()]
    wanted = source.pix_fmt if settings.pix_fmt == SOURCE else _known(settings.pix_fmt)
    name = settings.codec
    if name == AUTO:
        name = _auto(source, muxer, settings.pix_fmt, wanted)
    _check_container(name, muxer, target)
    formats = usable_formats(name)
    if settings.pix_fmt == SOURCE:
        formats = tuple(by_loss(source.pix_fmt, formats))
    elif settings.pix_fmt in formats:
        formats = (settings.pix_fmt,)
    else:
        remedy = f"use {one_of((SOURCE, *formats))}"
        raise ConfigError(f"{name} cannot write this pixel format", settings.pix_fmt, remedy)
    return _working(replace(settings, codec=name), formats, source, size)


def _known(pix_fmt: str) -> str:
    """The pixel format. Raises ConfigError if FFmpeg has none of that name, or it is no pixels."""
    try:
        if VideoFormat(pix_fmt, 16, 16).components:
            return pix_fmt
    except ValueError:
        pass
    remedy = f"use {SOURCE}, or a name such as yuv420p, yuv422p10le or yuva444p10le"
    raise ConfigError("unknown pixel format", pix_fmt, remedy)


def _auto(source: VideoInfo, muxer: str, pix_fmt: str, wanted: str) -> str:
    """The first of _by_preference that fits into the container and writes the pixel format."""
    for name in _by_preference(source, wanted):
        formats = usable_formats(name)
        if muxer in ENCODERS[name].muxers and formats and pix_fmt in (SOURCE, *formats):
            return name
    return next(name for name in _ALL if muxer in ENCODERS[name].muxers)  # refused by its format


def _by_preference(source: VideoInfo, wanted: str) -> Iterator[str]:
    """Encoders, the best first, for a video that is to be written in the wanted format.

    ProRes and FFV1 stay what they are: who has such files edits them. Alpha goes to what holds it.
    8 bits become H.264, which plays everywhere. Of more bits only HEVC (Main 10) is common in
    players, and is what they expect of HLG and PQ. H.264 of 10 bits (High 10) plays in few, but
    whoever has it has one that plays it, and perhaps no HEVC. webm takes AV1 only.
    """
    if source.codec in _EDITING:
        yield _EDITING[source.codec]
    if Depth.of(wanted).alpha:
        yield from ("prores_ks", "ffv1")
    hdr = source.color.transfer in HDR_TRANSFERS
    if bits(wanted) > 8 and (hdr or source.codec != "h264"):
        yield "libx265"
    yield from _ALL


def _check_container(name: str, muxer: str, target: Path) -> None:
    if muxer in ENCODERS[name].muxers:
        return
    suffixes = [suffix for suffix, kind in MUXERS.items() if kind in ENCODERS[name].muxers]
    remedy = f"use output.codec={AUTO}, or end the output's name in {one_of(suffixes)}"
    raise ConfigError(f"{target.suffix} files do not hold what this encoder makes", name, remedy)


def _working(
    settings: EncodeSettings, formats: tuple[str, ...], source: VideoInfo, size: tuple[int, int]
) -> EncodeSettings:
    """With the first of the formats in which the encoder works.

    Those in software work in all; which hardware takes which is known by trying only.
    """
    if not ENCODERS[settings.codec].hardware:
        return replace(settings, pix_fmt=formats[0])
    reasons = []
    for pix_fmt in formats:
        made = replace(settings, pix_fmt=pix_fmt)
        reason = refusal(made.codec, made.quality(source.profile), size)
        if not reason:
            return made
        reasons.append(reason)
    remedy = f"check the hardware and its driver ({reasons[0]}), or use output.codec={AUTO}"
    raise ConfigError("this encoder does not work on this machine", settings.codec, remedy)
