"""Lip-sync through the real command, with small networks and generated weights.

The mouths are noise. These tests show that the noise is in exactly the right place on every frame,
and that length, audio and all other pixels are right.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from latentsync import Engine, Session, load_config
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern, pts_of
from tests.support.small_codeformer import shrink, small_weights
from tests.support.tiny_latentsync import write_tiny_model


@pytest.fixture(scope="session")
def settings(tmp_path_factory) -> Path:
    """A YAML file that lip-syncs with tiny networks and restores nothing."""
    folder = tmp_path_factory.mktemp("tiny")
    sections = write_tiny_model(folder)
    sections["data"]["num_frames"] = 4  # a chunk that is not full costs as much as a full one
    sections["restore"] = {"name": "none"}
    sections["generate"]["silence"] = "model"  # the speech of these tests is a tone
    sections["output"] = {"preset": "ultrafast"}
    sections["runtime"] = {"backend": "torch"}  # where nothing is to be converted
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    return make_video(tmp_path / "video.mp4", demo_frames, audio=[Tone(0.5)])


@pytest.fixture
def speak(settings, video, tmp_path, run) -> Callable:
    """Lip-syncs the video to a tone of so many seconds -> the target and the outcome."""

    def speak_for(seconds: float, *options: str, source: Path = video):
        audio = make_audio(tmp_path / "speech.wav", Tone(seconds, codec="pcm_s16le", rate=16000))
        target = tmp_path / "out.mp4"
        files = ("--video_path", source, "--audio_path", audio, "--video_out_path", target)
        return target, run("--config", settings, *files, *options)

    return speak_for


@pytest.mark.parametrize(("seconds", "backend"), [(0.1, "auto"), (0.9, "torch")])
def test_the_video_is_as_long_as_the_speech_to_within_a_frame(seconds, backend, speak):
    target, result = speak(seconds, f"runtime.backend={backend}")
    assert result.code == 0, result.err
    times = pts_of(target)
    assert abs(len(times) / 25 - seconds) <= 1 / 25
    assert [round(float(t) * 25) for t in times] == list(range(len(times)))
    (audio,) = probe(target).audio
    assert abs(audio.duration_seconds - seconds) <= 1 / 25 + 0.03  # a packet of AAC
    assert audio.sample_rate == 16000


def test_only_the_lower_face_is_new_and_it_is_new_on_every_frame(settings, video, tmp_path):
    audio = make_audio(tmp_path / "speech.wav", Tone(0.64, codec="pcm_s16le", rate=16000))
    engine = Engine(load_config(settings))
    before = [frame.pixels.astype(int) for frame in VideoReader(video)]
    with Session(engine, video, audio=audio) as session:
        after = [frame.pixels.astype(int) for frame in session.frames()]
    assert len(after) == 16
    there_and_back = [*range(12), *range(10, 6, -1)]
    for shown, made in zip(there_and_back, after, strict=True):
        changed = np.abs(made - before[shown]).max(axis=2)
        assert changed[200:280, 110:250].mean() > 10
        assert (changed[:120] == 0).all()
        assert (changed[:, :40] == 0).all()
        assert (changed[:, 320:] == 0).all()


@pytest.mark.parametrize("overlap", [0, 2])
def test_a_video_made_in_three_segments_is_the_video_made_whole(overlap, settings, video, tmp_path):
    audio = make_audio(tmp_path / "speech.wav", Tone(0.56, codec="pcm_s16le", rate=16000))
    engine = Engine(load_config(settings, [f"generate.overlap={overlap}"]))
    with Session(engine, video, audio=audio) as session:
        plan = session.plan
        whole = [frame.pixels for frame in session.frames()]
        (preview,) = session.preview([10])
    assert (preview.after.pixels == whole[10]).all()
    joined = []
    for start, stop in plan.segments(3):
        with Session(engine, video, audio=audio, plan=plan) as session:
            joined += [frame.pixels for frame in session.frames(start, stop)]
    assert len(plan.segments(3)) == 3 < plan.chunk.max() + 1, "one of several chunks"
    assert len(joined) == len(whole) == 14
    assert all((a == b).all() for a, b in zip(whole, joined, strict=True))


def test_the_video_s_length_can_be_kept(speak, video):
    target, result = speak(0.2, "output.length=video")
    assert result.code == 0, result.err
    assert len(pts_of(target)) == 12
    report = json.loads(target.with_suffix(".report.json").read_text())
    assert report["frames"]["generated"] == 5


def test_another_frame_rate(speak):
    target, result = speak(0.3, "output.fps=50")
    assert result.code == 0, result.err
    assert len(pts_of(target)) == 15
    assert probe(target).average_rate == 50


@pytest.mark.parametrize(
    "options",
    [
        ("--enable_deepcache", "--inference_steps", "4", "--guidance_scale", "1.0"),
        ("generate.scheduler=dpmpp_2m", "--seed", "7", "--temp_dir", "anything"),
    ],
    ids=lambda options: options[0],
)
def test_other_settings_work(options, speak):
    target, result = speak(0.2, *options)
    assert result.code == 0, result.err
    assert len(pts_of(target)) == 5


def test_compat_upstream_makes_as_many_frames_as_upstream(speak):
    """A window of speech every 1/25 s, and two more than fit: 22 where 0.8 s are 20 frames."""
    target, result = speak(0.8, "compat=upstream", "data.num_frames=16")
    assert result.code == 0, result.err
    assert [round(float(t) * 25) for t in pts_of(target)] == list(range(22))
    frames = json.loads(target.with_suffix(".report.json").read_text())["frames"]
    assert frames["generated"] == frames["total"] == 22


def test_frames_without_a_face_are_left_unmodified(speak, tmp_path, demo_frames):
    frames = [*demo_frames, *moving_pattern(360, 340, 6), *demo_frames[:7]]
    source = make_video(tmp_path / "cuts.mp4", frames)
    target, result = speak(1.0, "output.crf=1", source=source)
    assert result.code == 0, result.err
    assert "6 of 25 frames without a detected face" in result.err
    before, after = (list(VideoReader(path)) for path in (source, target))
    for index in range(12, 18):
        change = before[index].pixels.astype(int) - after[index].pixels
        assert np.abs(change).mean() < 2


@pytest.mark.parametrize("name", ["Detail", "CodeFormer"])
def test_generated_mouths_are_restored_in_the_same_run(name, speak, tmp_path, monkeypatch):
    options = ["--superres", name, "restore.when=always"]
    if name == "CodeFormer":
        monkeypatch.setenv("LATENTSYNC_ACCEPT_LICENCES", "CodeFormer")
        checkpoint = tmp_path / "codeformer.pth"
        torch.save({"params_ema": small_weights()}, checkpoint)
        shrink(monkeypatch)
        options += [f"restore.checkpoint={checkpoint}", "restore.strength=1"]
    count = 1 if name == "CodeFormer" else 2
    target, result = speak(count / 25, *options)
    assert result.code == 0, result.err
    report = json.loads(target.with_suffix(".report.json").read_text())
    counted = ("total", "with_face", "generated", "selected")
    assert report["frames"].items() >= dict.fromkeys(counted, count).items()
    if name == "Detail":  # the generated weights draw noise, which is sharper than any mouth
        assert report["frames"]["restored"] == 0
        assert "Detail found no blur to undo" in result.err
    else:
        assert report["frames"]["restored"] == count
        assert "non-commercial" in result.err
        assert report["restorer"]["checkpoint"] == str(checkpoint)
        assert len(report["restorer"]["sha256"]) == 64


def test_silent_speech_is_reported(settings, video, tmp_path, run):
    audio = make_audio(tmp_path / "s.wav", Tone(0.2, hertz=0, codec="pcm_s16le", rate=16000))
    target = tmp_path / "out.mp4"
    result = run("--config", settings, "-i", video, "--audio_path", audio, "-o", target)
    assert result.code == 0
    assert "is silent" in result.err
    assert len(pts_of(target)) == 5


def test_missing_weights_are_all_named_at_once(video, tmp_path, run, monkeypatch):
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path)
    monkeypatch.setattr("latentsync.weights.wheel.installed", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    audio = make_audio(tmp_path / "speech.wav", Tone(0.2, codec="pcm_s16le", rate=16000))
    files = ("-i", video, "--audio_path", audio, "-o", tmp_path / "out.mp4")
    result = run(*files, "--superres", "CodeFormer", "--accept-licence", "CodeFormer")
    assert result.code == 2
    named = ("latentsync_unet.pt", "tiny.pt", "vae", "codeformer.pth", "face_landmark.tflite")
    assert all(name in result.err for name in named)
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p / "nowhere.wav", "nowhere.wav"),
        (lambda p: make_video(p / "mute.mp4"), "mute.mp4"),
        (lambda p: _write(p / "text.wav"), "text.wav"),
    ],
    ids=["not there", "no audio in it", "text"],
)
def test_bad_speech_gets_one_line(make, said, settings, video, tmp_path, run):
    target = tmp_path / "out.mp4"
    result = run("--config", settings, "-i", video, "--audio_path", make(tmp_path), "-o", target)
    assert result.code == 2
    assert said in result.err.strip().splitlines()[-1]
    assert not target.exists()


def _write(path: Path) -> Path:
    path.write_text("not audio\n" * 50)
    return path
