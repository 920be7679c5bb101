"""Frames of more than 8 bits: pixels of 16, and the decoded samples again where nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from latentsync.media.color import ColorTags, Conversion, FromRgb, ToRgb
from latentsync.media.decoder import ToUpright
from latentsync.media.kept import KeptSamples
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.samples import bits_of, component_samples
from latentsync.media.settings import EncodeSettings
from tests.support.copying import copied
from tests.support.media_factory import make_video

Pieces = Callable[..., tuple[ToUpright, KeptSamples]]
SIZE = 64, 48
FORMATS = ("yuv420p10le", "yuv422p10le", "yuv444p12le", "yuva444p10le", "yuv420p12le")
TAGS = ColorTags(matrix="bt2020nc", range="tv", primaries="bt2020", transfer="arib-std-b67")


def noise(pix_fmt: str, seed: int = 0) -> VideoFrame:
    """A frame with any sample, also those beyond black and white."""
    frame, rng = VideoFrame(*SIZE, pix_fmt), np.random.default_rng(seed)
    top = 2 ** bits_of(frame.format)
    for plane in component_samples(frame):
        plane[...] = rng.integers(0, top, plane.shape)
    return frame


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Pieces:
    """(Pixel format, the one that is written) -> what decodes and what encodes."""
    frames = [np.zeros((*SIZE[::-1], 3), np.uint8)]
    known = probe(make_video(tmp_path_factory.mktemp("deep") / "a.mp4", frames))

    def made(pix_fmt: str, written: str = "") -> tuple[ToUpright, KeptSamples]:
        info = replace(known, pix_fmt=pix_fmt, color=TAGS, bit_depth=10, codec="hevc")
        upright, written = ToUpright(info), written or pix_fmt
        how = Conversion.of(TAGS, written, *SIZE)
        return upright, KeptSamples(upright, FromRgb(how, written), how, written)

    return made


def samples(frame: VideoFrame | None) -> list[np.ndarray]:
    assert frame is not None
    return [plane.copy() for plane in component_samples(frame)]


def same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_untouched_frames_are_encoded_with_the_decoded_samples(
    pieces: Pieces, pix_fmt: str
) -> None:
    decoded = noise(pix_fmt)
    upright, kept = pieces(pix_fmt)
    frame = upright.frame(0, upright(decoded, 0))
    assert frame.pixels.dtype == np.uint16 and frame.transfer == "arib-std-b67"
    assert same(samples(kept(frame)), samples(decoded))


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_outside_of_what_changed_the_samples_are_equal(pieces: Pieces, pix_fmt: str) -> None:
    decoded = noise(pix_fmt)
    upright, kept = pieces(pix_fmt)
    frame = upright.frame(0, upright(decoded, 0))
    pixels = frame.pixels.copy()
    pixels[20:30, 16:32] //= 2
    made, before = samples(kept(replace(frame, pixels=pixels))), samples(decoded)
    luma = np.ones(SIZE[::-1], bool)
    luma[20:30, 16:32] = False
    assert np.array_equal(made[0][luma], before[0][luma])
    assert (made[0][~luma] != before[0][~luma]).mean() > 0.9
    for plane, filmed in zip(made[1:3], before[1:3], strict=True):
        rows, columns = (slice(0, plane.shape[0] // 6), slice(0, plane.shape[1] // 8))
        assert np.array_equal(plane[rows], filmed[rows])
        assert np.array_equal(plane[:, columns], filmed[:, columns])


def test_a_change_is_encoded_to_the_nearest_code_value(pieces: Pieces) -> None:
    upright, kept = pieces("yuv444p12le")
    decoded = noise("yuv444p12le")
    for plane, value in zip(component_samples(decoded), (1500, 2048, 2048), strict=True):
        plane[...] = value
    frame = upright.frame(0, upright(decoded, 0))
    made = kept(replace(frame, pixels=frame.pixels + np.uint16(3000)))
    step = 3000 / 65535 * 219 * 16
    assert [np.ptp(plane) for plane in samples(made)] == [0, 0, 0]
    assert samples(made)[0][0, 0] == round(1500 + step)


def test_a_frame_written_with_other_chroma_or_size_is_converted_from_its_pixels(
    pieces: Pieces,
) -> None:
    upright, kept = pieces("yuv422p10le", "yuv420p10le")
    frame = upright.frame(0, upright(noise("yuv422p10le"), 0))
    assert kept(frame) is None
    _, kept = pieces("yuv422p10le")
    assert kept(frame) is not None
    assert kept(replace(frame, pixels=np.concatenate([frame.pixels] * 2, axis=1))) is None
    assert kept(replace(frame, carrier=None)) is None


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv444p10le", "yuv444p12le", "gbrp10le", "gray10le"])
def test_rgb_of_16_bits_returns_every_sample_where_chroma_is_whole(
    pix_fmt: str, full: bool
) -> None:
    rng = np.random.default_rng(3)
    colors = rng.integers(8000, 57000, (*SIZE[::-1], 3)).astype(np.uint16)
    if pix_fmt.startswith("gray"):
        colors[...] = colors[..., :1]
    how = Conversion.of(ColorTags("bt2020nc", "pc" if full else "tv"), pix_fmt, *SIZE)
    there = FromRgb(how, pix_fmt)(colors)
    pixels = ToRgb(how, deep=True)(there, *SIZE)
    step = 65535 / (2 ** bits_of(VideoFormat(pix_fmt, 16, 16)) - 1) * (1 if full else 256 / 219)
    assert np.abs(pixels.astype(int) - colors).max() <= 1.5 * step
    assert same(samples(FromRgb(how, pix_fmt)(pixels)), samples(there))


def test_smooth_footage_returns_within_a_code_value_without_a_carrier() -> None:
    rng = np.random.default_rng(5)
    coarse = rng.integers(12000, 52000, (5, 6, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC).clip(0, 65535)
    how = Conversion.of(TAGS, "yuv420p10le", *SIZE)
    there = FromRgb(how, "yuv420p10le")(smooth.astype(np.uint16))
    pixels = ToRgb(how, deep=True)(there, *SIZE)
    again = FromRgb(how, "yuv420p10le")(pixels)
    off = [
        np.abs(a.astype(int) - b).max() for a, b in zip(samples(again), samples(there), strict=True)
    ]
    assert off[0] <= 1 and max(off) <= 2


def test_alpha_returns_as_it_was(pieces: Pieces) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 65536, (*SIZE[::-1], 3)).astype(np.uint16)
    alpha = np.rint(rng.integers(0, 1024, SIZE[::-1]) * (65535 / 1023)).astype(np.uint16)
    how = Conversion.of(TAGS, "yuva444p10le", *SIZE)
    made = FromRgb(how, "yuva444p10le")(pixels, alpha)
    upright, _ = pieces("yuva444p10le")
    decoded = upright(made, 0)
    assert decoded.alpha is not None and np.array_equal(decoded.alpha, alpha)
    opaque = FromRgb(how, "yuva444p10le")(pixels)
    assert (samples(opaque)[3] == 1023).all()


def test_a_video_of_10_bits_is_written_as_it_was(tmp_path: Path) -> None:
    """Lossless, so that it shows what the encoder got."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(3)]
    source = make_video(
        tmp_path / "a.mp4",
        frames,
        codec="libx265",
        pix_fmt="yuv420p10le",
        options={"preset": "ultrafast", "x265-params": "log-level=none"},
    )
    made = copied(source, tmp_path / "b.mp4", EncodeSettings(crf=0, preset="ultrafast"))
    pairs = list(zip(VideoReader(source), VideoReader(made), strict=True))
    assert len(pairs) == 3 and probe(made).pix_fmt == "yuv420p10le"
    assert all(same(samples(a.carrier), samples(b.carrier)) for a, b in pairs)
