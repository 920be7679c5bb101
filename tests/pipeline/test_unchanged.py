"""Which videos may stand for the output unchanged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.unchanged import is_as_asked
from latentsync.settings.schema import OutputConfig
from tests.support.media_factory import make_video, moving_pattern


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    """H.264, yuv420p."""
    return probe(make_video(tmp_path_factory.mktemp("video") / "a.mp4", moving_pattern(count=2)))


@pytest.mark.parametrize("codec", ["auto", "libx264", "h264_nvenc"])
@pytest.mark.parametrize("pix_fmt", ["source", "yuv420p"])
def test_a_video_that_is_as_asked_may_be_copied(video, codec: str, pix_fmt: str) -> None:
    assert is_as_asked(OutputConfig(codec=codec, pix_fmt=pix_fmt), video)
    assert is_as_asked(OutputConfig(pix_fmt=pix_fmt), replace(video, pix_fmt="yuvj420p"))


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("prores_ks", "source"), ("auto", "yuv422p10le"), ("libx265", "yuv420p")]
)
def test_an_encoder_or_a_pixel_format_that_is_named_is_not_given_up_for_a_copy(
    video, codec: str, pix_fmt: str
) -> None:
    assert not is_as_asked(OutputConfig(codec=codec, pix_fmt=pix_fmt), video)
