"""Which encoder and pixel format an output gets where the settings leave it open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.errors import ConfigError
from latentsync.media import auto
from latentsync.media.auto import chosen
from latentsync.media.color import ColorTags
from latentsync.media.pixel_formats import Depth
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.settings import EncodeSettings
from tests.support.media_factory import make_video

SIZE = (96, 64)
HLG = ColorTags("bt2020nc", "tv", "bt2020", "arib-std-b67")
PQ = ColorTags("bt2020nc", "tv", "bt2020", "smpte2084")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    return probe(make_video(tmp_path_factory.mktemp("video") / "a.mp4"))


def like(video: VideoInfo, codec: str, pix_fmt: str, color: ColorTags | None = None) -> VideoInfo:
    depth = Depth.of(pix_fmt)
    kinds = {"codec": codec, "pix_fmt": pix_fmt, "bit_depth": depth.bits, "alpha": depth.alpha}
    return replace(video, color=color or video.color, **kinds)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "color", "suffix", "becomes"),
    [
        ("h264", "yuv420p", None, ".mp4", ("libx264", "yuv420p")),
        ("hevc", "yuv420p", None, ".mp4", ("libx264", "yuv420p")),
        ("mjpeg", "yuvj422p", None, ".mp4", ("libx264", "yuv422p")),
        ("mjpeg", "yuvj420p", None, ".mov", ("libx264", "yuv420p")),
        ("h264", "yuv420p10le", None, ".mp4", ("libx264", "yuv420p10le")),
        ("h264", "yuv422p10le", None, ".mov", ("libx264", "yuv422p10le")),
        ("h264", "yuv422p10le", HLG, ".mp4", ("libx265", "yuv422p10le")),
        ("hevc", "yuv420p10le", PQ, ".mp4", ("libx265", "yuv420p10le")),
        ("hevc", "yuv420p10le", None, ".mkv", ("libx265", "yuv420p10le")),
        ("hevc", "yuv444p12le", None, ".mkv", ("libx265", "yuv444p12le")),
        ("vp9", "yuv420p10le", None, ".mp4", ("libx265", "yuv420p10le")),
        ("av1", "yuv420p", None, ".mkv", ("libx264", "yuv420p")),
        ("prores", "yuv422p10le", None, ".mov", ("prores_ks", "yuv422p10le")),
        ("prores", "yuv422p10le", None, ".mp4", ("libx265", "yuv422p10le")),
        ("prores", "yuva444p12le", None, ".mov", ("prores_ks", "yuva444p10le")),
        ("qtrle", "argb", None, ".mov", ("prores_ks", "yuva444p10le")),
        ("qtrle", "argb", None, ".mp4", ("libx264", "yuv420p")),
        ("ffv1", "yuva444p12le", None, ".mkv", ("ffv1", "yuva444p12le")),
        ("ffv1", "gbrp10le", None, ".mkv", ("ffv1", "gbrp10le")),
        ("ffv1", "bgr0", None, ".mp4", ("libx264", "yuv420p")),
        ("rawvideo", "gray", None, ".mp4", ("libx264", "yuv420p")),
        ("rawvideo", "yuv411p", None, ".mp4", ("libx264", "yuv422p")),
    ],
)
def test_the_video_decides(
    video: VideoInfo,
    codec: str,
    pix_fmt: str,
    color: ColorTags | None,
    suffix: str,
    becomes: tuple[str, str],
) -> None:
    made = chosen(EncodeSettings(), like(video, codec, pix_fmt, color), Path(f"b{suffix}"), SIZE)
    assert (made.codec, made.pix_fmt) == becomes


def test_webm_gets_av1(video: VideoInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(auto.MUXERS, ".webm", "webm")
    made = chosen(EncodeSettings(), like(video, "vp9", "yuv420p10le"), Path("b.webm"), SIZE)
    assert (made.codec, made.pix_fmt) == ("libsvtav1", "yuv420p10le")


@pytest.mark.parametrize(
    ("codec", "asked", "becomes"),
    [
        ("hevc", "yuv420p", "libx264"),
        ("prores", "yuv420p", "libx264"),
        ("h264", "yuv420p10le", "libx264"),
        ("hevc", "yuv420p10le", "libx265"),
        ("h264", "yuv444p12le", "libx265"),
        ("h264", "yuva444p10le", "prores_ks"),
    ],
)
def test_a_pixel_format_that_is_asked_for_takes_part_in_the_choice(
    video: VideoInfo, codec: str, asked: str, becomes: str
) -> None:
    source = like(video, codec, "yuv422p10le", HLG if codec == "hevc" else None)
    made = chosen(EncodeSettings(pix_fmt=asked), source, Path("b.mov"), SIZE)
    assert (made.codec, made.pix_fmt) == (becomes, asked)


@pytest.mark.parametrize(
    ("settings", "suffix", "says"),
    [
        (EncodeSettings("libsvtav1"), ".mov", ".mp4, .m4v"),
        (EncodeSettings("prores_ks"), ".mp4", ".mov or .mkv"),
        (EncodeSettings("ffv1"), ".mov", "end the output's name in .mkv"),
        (EncodeSettings("libx264", pix_fmt="yuv444p12le"), ".mp4", "yuv444p10le"),
        (EncodeSettings(pix_fmt="rgb48"), ".mp4", "yuv420p"),
        (EncodeSettings(pix_fmt="yuv42p"), ".mp4", "unknown pixel format: yuv42p; use source"),
        (EncodeSettings(pix_fmt="vaapi"), ".mp4", "unknown pixel format"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(
    video: VideoInfo, settings: EncodeSettings, suffix: str, says: str
) -> None:
    with pytest.raises(ConfigError) as error:
        chosen(settings, video, Path(f"b{suffix}"), SIZE)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_hardware_is_used_in_the_first_format_that_works(
    video: VideoInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        auto, "refusal", lambda _name, asked, _size: "no 4:2:2" if "210" in asked.pix_fmt else ""
    )
    source = like(video, "hevc", "yuv422p10le")
    made = chosen(EncodeSettings("hevc_nvenc"), source, Path("b.mp4"), SIZE)
    assert made.pix_fmt == "p010le"
    asked = EncodeSettings("hevc_nvenc", pix_fmt="p210le")
    with pytest.raises(ConfigError, match="no 4:2:2"):
        chosen(asked, source, Path("b.mp4"), SIZE)


def test_hardware_that_does_not_work_is_one_line(
    video: VideoInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "refusal", lambda *_: "no device")
    with pytest.raises(ConfigError) as error:
        chosen(EncodeSettings("h264_nvenc"), video, Path("b.mp4"), SIZE)
    text = str(error.value)
    assert "h264_nvenc" in text and "no device" in text and "output.codec=auto" in text
    assert "\n" not in text
