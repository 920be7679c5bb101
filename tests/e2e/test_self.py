"""Restoration fitted to the person's own video, through the real command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from latentsync.media.reader import VideoReader
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern, pts_of
from tests.support.tiny_latentsync import write_tiny_model

ASSETS = Path(__file__).parents[2] / "assets"
SOFT, ORIGINAL = ASSETS / "demo_lipsynced.mp4", ASSETS / "demo_talking.mp4"


def error(path: Path, original: Path) -> float:
    """Mean squared error of the luma against the original, around the mouth [code values]."""
    place = slice(270, 350), slice(250, 390)
    pairs = zip(VideoReader(path), VideoReader(original), strict=True)
    return float(
        np.mean([(a.pixels[place].mean(2) - b.pixels[place].mean(2)) ** 2 for a, b in pairs])
    )


def blurred(pixels: np.ndarray) -> np.ndarray:
    """The lower half of the face out of focus, through a soft mask."""
    soft = cv2.GaussianBlur(pixels, (0, 0), 1.5)
    mask = np.zeros((*pixels.shape[:2], 1), np.float32)
    mask[255:400, 210:430] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), 8)[..., None]
    return np.rint(pixels * (1 - mask) + soft * mask).astype(np.uint8)


def test_a_mouth_comes_back_from_the_original_video(tmp_path, run) -> None:
    frames = [frame.pixels for frame in VideoReader(ORIGINAL, stop=75)]
    original, bad = make_video(tmp_path / "original.mp4", frames), map(blurred, frames)
    soft = make_video(tmp_path / "soft.mp4", bad, options={"crf": "4", "preset": "ultrafast"})
    target = tmp_path / "out.mp4"
    options = ("--superres", "self", "--reference", original, "output.crf=8")
    result = run("-i", soft, "-o", target, *options, "output.preset=ultrafast")
    assert result.code == 0, result.err
    report = json.loads(target.with_suffix(".report.json").read_text())
    fit_result = report["fit"]["0"]
    assert fit_result["used"] == "Self"
    assert fit_result["gains"]["Self"] > fit_result["gains"]["Detail"] > 0
    assert fit_result["reason"] in result.err
    assert error(target, original) < 0.6 * error(soft, original)


def test_without_the_original_video_it_is_asked_for(tmp_path, run) -> None:
    result = run("-i", SOFT, "-o", tmp_path / "out.mp4", "--superres", "Self")
    assert result.code == 2
    assert "--reference" in result.err.strip().splitlines()[-1]
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("kind", ["not there", "no face"])
def test_an_original_without_a_face_is_refused(kind, tmp_path, demo_frames, run) -> None:
    video, reference = make_video(tmp_path / "in.mp4", demo_frames), tmp_path / "original.mp4"
    if kind == "no face":
        make_video(reference, moving_pattern(8))
    options = ("--superres", "Self", "--reference", reference)
    result = run("-i", video, "-o", tmp_path / "out.mp4", *options)
    assert result.code == 2
    assert ("original.mp4" if kind == "not there" else "no face") in result.err
    assert not (tmp_path / "out.mp4").exists()


def test_with_new_speech_the_video_itself_is_the_original(tmp_path, demo_frames, run) -> None:
    """Through the generator's VAE; a video this short is too little to fit; that is reported."""
    settings = tmp_path / "tiny.yaml"
    sections = write_tiny_model(tmp_path / "model") | {"runtime": {"backend": "torch"}}
    sections["data"]["num_frames"] = 4
    settings.write_text(yaml.safe_dump(sections))
    video = make_video(tmp_path / "in.mp4", demo_frames)
    speech = make_audio(tmp_path / "s.wav", Tone(0.2, codec="pcm_s16le", rate=16000))
    target = tmp_path / "out.mp4"
    files = ("-i", video, "--audio_path", speech, "-o", target)
    result = run("--config", settings, *files, "--superres", "Self", "restore.when=always")
    assert result.code == 0, result.err
    assert len(pts_of(target)) == 5
    fit_result = json.loads(target.with_suffix(".report.json").read_text())["fit"]["0"]
    assert fit_result["used"] == "Detail"
    assert "too few" in fit_result["reason"]
