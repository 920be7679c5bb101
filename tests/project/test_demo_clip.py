"""The clip that the demo restores is what assets/README.md says it is."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

ASSETS = Path(__file__).parents[2] / "assets"
VIDEOS = ("demo_talking.mp4", "demo_lipsynced.mp4")
SPEAKER = "demo_speaker.mp4"


def frames(name: str) -> list[np.ndarray]:
    with av.open(str(ASSETS / name)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def detail(pixels: np.ndarray) -> float:
    return float(np.mean(cv2.Laplacian(pixels.astype(np.float32), cv2.CV_32F) ** 2))


@pytest.mark.parametrize("name", [*VIDEOS, SPEAKER])
def test_a_video_is_h264_in_bt709_with_aac_speech(name: str) -> None:
    with av.open(str(ASSETS / name)) as container:
        streams = container.streams
        video, audio = streams.video[0].codec_context, streams.audio[0].codec_context
        assert (video.name, video.width, video.height) == ("h264", 640, 480)
        assert (video.colorspace, video.color_range) == (Colorspace.ITU709, ColorRange.MPEG)
        assert (streams.video[0].average_rate, audio.name) == (25, "aac")


def test_only_the_lower_face_of_the_lipsynced_video_is_softer() -> None:
    sharp, soft = (frames(name) for name in VIDEOS)
    assert len(sharp) == len(soft) == 127
    for before, after in zip(sharp[::20], soft[::20], strict=True):
        mouth, upper = (slice(285, 345), slice(270, 365)), slice(0, 220)
        assert detail(after[mouth]) < 0.3 * detail(before[mouth])
        difference = after[upper].astype(np.float32) - before[upper]
        assert (
            np.sqrt(np.mean(difference**2)) < 2.5
        )  # code values; the encoder's own error at crf 18


def test_the_mouth_opens_and_closes() -> None:
    mouths = np.stack(frames("demo_talking.mp4"))[:, 300:345, 285:350].astype(np.float32)
    dark = (mouths < 60).mean(axis=(1, 2))
    assert dark[0] < 0.01 < 0.05 < dark.max()
