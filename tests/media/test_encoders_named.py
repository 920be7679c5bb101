"""A video through each encoder, into a file and back: depth, chroma, tags, colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.media.color import ColorTags
from latentsync.media.encoder_options import PRESETS
from latentsync.media.encoders import ENCODERS
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.settings.checks import CHOICES
from tests.support.copying import PATCHES, copied, differences
from tests.support.media_factory import flat_patches, make_video

HLG = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 18}
FRAMES = [flat_patches(PATCHES, side=64)] * 3  # Rec. 2020 of it, as far as the tags go


def made_of(path: Path, **kwargs: object) -> Path:
    return make_video(path, FRAMES, codec="ffv1", options={}, **kwargs)


def colour_error(path: Path) -> int:
    """The greatest of any patch, in 8-bit code values."""
    (pixels, *_) = (frame.pixels for frame in VideoReader(path))
    found = pixels[32, 32::64].astype(float) / np.iinfo(pixels.dtype).max * 255
    return round(np.abs(found - PATCHES).max())


@pytest.mark.parametrize(
    ("codec", "suffix", "becomes"),
    [
        ("libx264", ".mp4", ("h264", "yuv422p10le")),
        ("libx265", ".mov", ("hevc", "yuv422p10le")),
        ("libsvtav1", ".mp4", ("av1", "yuv420p10le")),
        ("prores_ks", ".mov", ("prores", "yuv422p10le")),
        ("ffv1", ".mkv", ("ffv1", "yuv422p10le")),
    ],
)
def test_depth_tags_and_colours_are_read_back(
    tmp_path: Path, codec: str, suffix: str, becomes: tuple[str, str]
) -> None:
    source = made_of(tmp_path / "a.mkv", pix_fmt="yuv422p10le", colors=HLG, matrix=9)
    settings = EncodeSettings(codec, crf=8, preset="ultrafast")
    target = copied(source, tmp_path / f"b{suffix}", settings)
    made = probe(target)
    assert (made.codec, made.pix_fmt, made.bit_depth) == (*becomes, 10)
    assert made.color == ColorTags("bt2020nc", "tv", "bt2020", "arib-std-b67")
    assert colour_error(target) <= 2


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "prores_ks"])
def test_full_range_is_tagged_or_converted(tmp_path: Path, codec: str) -> None:
    full = {"color_range": 2}
    source = made_of(tmp_path / "a.mkv", pix_fmt="yuv422p", colors=full, full_range=True)
    target = copied(source, tmp_path / "b.mkv", EncodeSettings(codec, crf=8, preset="ultrafast"))
    # ProRes has no tag for it: unconverted, it would be shown with 19 code values of error
    assert probe(target).color.range == ("tv" if codec == "prores_ks" else "pc")
    assert colour_error(target) <= 3


@pytest.mark.parametrize("pix_fmt", ["gbrp10le", "bgr0"])
def test_rgb_stays_rgb(tmp_path: Path, pix_fmt: str) -> None:
    source = made_of(tmp_path / "a.mkv", pix_fmt=pix_fmt)
    made = probe(target := copied(source, tmp_path / "b.mkv", EncodeSettings()))
    assert (made.codec, made.pix_fmt) == ("ffv1", pix_fmt)
    assert (made.color.matrix, made.color.range) == ("rgb", "pc")
    assert differences(source, target).max() == 0


def test_the_settings_name_the_same_encoders_and_presets() -> None:

    assert CHOICES["output.codec"] == ("auto", *ENCODERS)
    assert CHOICES["output.preset"] == PRESETS
