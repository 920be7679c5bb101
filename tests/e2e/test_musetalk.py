"""MuseTalk through the real command, with a small network and generated weights: noise for mouths.

The noise is in the right place on every frame, and the rest of the pipeline does with it what it
does with any other mouth.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from diffusers import AutoencoderKL

from latentsync import Engine, Session, load_config
from latentsync.generate.coding import never
from latentsync.generate.musetalk.network import make_unet
from latentsync.generate.vae import DESIGNS
from latentsync.media.reader import VideoReader
from latentsync.speech.encoder import PART, WhisperEncoder, tiny
from latentsync.speech.half_minutes import HalfMinuteFeatures
from latentsync.weights.load import build
from latentsync.weights.manifest import VAE, WHISPER_TINY
from tests.support.media_factory import Tone, make_audio, make_video, pts_of
from tests.support.tiny_musetalk import MODEL, VAE_CONFIG, write_tiny_musetalk
from tests.support.tiny_restorers import write_tiny_restorer

COUNT = 10  # a chunk of 8, and a short one


@pytest.fixture(scope="session")
def settings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("musetalk")
    sections = write_tiny_musetalk(folder)
    sections["generate"]["silence"] = "model"  # the speech of these tests is a tone
    sections["output"] = {"preset": "ultrafast"}
    sections["runtime"] = {"backend": "torch"}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


@pytest.fixture(scope="module")
def encoded_once() -> Iterator[None]:
    """The speech is mostly the same, and Whisper takes a second for each half minute of it."""
    known: dict[bytes, torch.Tensor] = {}
    encode = WhisperEncoder.forward

    def remembered(self: WhisperEncoder, mel: torch.Tensor) -> torch.Tensor:
        key = mel.numpy().tobytes()
        if key not in known:
            known[key] = encode(self, mel)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhisperEncoder, "forward", remembered)
        yield


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    return make_video(tmp_path / "video.mp4", demo_frames[:COUNT], audio=[Tone(COUNT / 25)])


@pytest.fixture
def speech(tmp_path) -> Path:
    return make_audio(tmp_path / "speech.wav", Tone(COUNT / 25, codec="pcm_s16le", rate=16000))


@pytest.fixture
def speak(settings, encoded_once, demo_frames, tmp_path, run) -> Callable:
    """One frame speaks."""

    def speak_with(*options: str):
        video, target = tmp_path / "one.mp4", tmp_path / "out.mp4"
        if not video.exists():
            make_video(video, demo_frames[:1])
            make_audio(tmp_path / "one.wav", Tone(1 / 25, codec="pcm_s16le", rate=16000))
        files = ("--video_path", video, "--audio_path", tmp_path / "one.wav")
        result = run("--config", settings, *files, "--video_out_path", target, *options)
        return target, result

    return speak_with


def test_a_video_made_in_pieces_is_the_video_made_whole(settings, encoded_once, video, speech):
    engine = Engine(load_config(settings, ["restore.name=none"]))
    with Session(engine, video, audio=speech) as session:
        plan = session.plan
        whole = [frame.pixels for frame in session.frames()]
        (preview,) = session.preview([9])
    assert (preview.after.pixels == whole[9]).all()
    joined = []
    for start, stop in plan.segments(2):
        with Session(engine, video, audio=speech, plan=plan) as session:
            joined += [frame.pixels for frame in session.frames(start, stop)]
    assert len(plan.segments(2)) == 2 and len(joined) == len(whole) == COUNT
    assert all((a == b).all() for a, b in zip(whole, joined, strict=True))
    before = [frame.pixels.astype(int) for frame in VideoReader(video)]
    for shown, made in zip(before, whole, strict=True):
        changed = np.abs(made - shown).max(axis=2)
        assert changed[230:280, 130:230].mean() > 10
        assert (changed[:150] == 0).all(), "above the bridge of the nose"
        assert (changed[:, :40] == 0).all() and (changed[:, 320:] == 0).all()


def test_the_speech_is_encoded_as_musetalk_takes_it(settings):
    config = load_config(settings, ["restore.name=none"])
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(9600)).astype(np.float32)
    lipsync = Engine(config).lipsync
    speech = lipsync.encode_speech([samples], "noise", never)
    path = Path(config.generate.whisper)
    encoder = build(lambda: tiny(normed=True), WHISPER_TINY, path, torch.device("cpu"), part=PART)
    expected = HalfMinuteFeatures([samples], encoder)
    seconds = np.array([0.0, 0.3, 0.58])
    windows = [torch.stack(list(one.windows_at(seconds))) for one in (speech, expected)]
    assert (windows[0][0, :20] == 0).all(), "before the speech"
    torch.testing.assert_close(*windows, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["GFPGAN", "CodeFormer"])
def test_the_mouths_are_restored_and_the_report_says_what_made_them(
    name, speak, settings, tmp_path, monkeypatch
):
    target, result = speak("restore.name=none", "output.crf=4")
    assert result.code == 0, result.err
    plain = next(iter(VideoReader(target))).pixels.astype(int)
    monkeypatch.setenv("LATENTSYNC_ACCEPT_LICENCES", "CodeFormer")
    checkpoint = write_tiny_restorer(name, tmp_path / "restorer.pth", monkeypatch)
    named = ("--superres", name, f"restore.checkpoint={checkpoint}", "restore.strength=1")
    target, result = speak(*named, "restore.when=always", "output.crf=4", "--overwrite")
    assert result.code == 0, result.err
    assert len(pts_of(target)) == 1
    assert "CreativeML OpenRAIL-M by its hub page, any purpose by its README" in result.err
    report = json.loads(target.with_suffix(".report.json").read_text())
    counted = ("total", "with_face", "generated", "selected", "restored")
    assert report["frames"].items() >= dict.fromkeys(counted, 1).items()
    assert report["generator"]["name"] == "musetalk"
    assert report["generator"]["checkpoint"] == str(settings.parent / "unet.pth")
    assert report["restorer"]["checkpoint"] == str(checkpoint)
    changed = np.abs(next(iter(VideoReader(target))).pixels - plain).max(axis=2)
    assert changed[230:280, 130:230].mean() > 10 and changed[:150].mean() < 2


def test_in_silence_the_filmed_mouth_or_a_closed_one_is_shown(
    settings, encoded_once, video, tmp_path, run
):
    audio = make_audio(tmp_path / "s.wav", Tone(0.4, hertz=0, codec="pcm_s16le", rate=16000))
    target = tmp_path / "out.mp4"
    files = ("-i", video, "--audio_path", audio, "-o", target)
    result = run("--config", settings, *files, "generate.silence=original", "restore.name=none")
    assert result.code == 0, result.err
    after = [frame.pixels.astype(int) for frame in VideoReader(target)]
    before = [frame.pixels.astype(int) for frame in VideoReader(video)]
    changed = [
        np.abs(a - b)[230:280, 130:230].mean()
        for a, b in zip(after, before[: len(after)], strict=True)
    ]
    assert np.median(changed) < 3, "no noise, where the video has a closed mouth"


def test_a_dry_run_needs_no_weights(video, speech, run, tmp_path, monkeypatch):
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path)
    monkeypatch.setattr("latentsync.generate.musetalk.timing.make_unet", _narrow)
    tiny_vae = replace(DESIGNS[VAE.key], make=partial(AutoencoderKL, **VAE_CONFIG))
    monkeypatch.setitem(DESIGNS, VAE.key, tiny_vae)
    files = ("-i", video, "--audio_path", speech, "-o", tmp_path / "out.mp4")
    options = ("--generator", "musetalk", "--dry-run", "restore.name=none")
    result = run(*files, *options, "runtime.backend=torch")
    assert result.code == 0, result.err
    assert "musetalk, one step" in result.out
    assert "3.8 GB to download first" in result.out and "MuseTalk 1.5" in result.out
    assert result.out.splitlines()[-1].startswith("time ")


def _narrow(structure=MODEL):
    """Its U-Net, with few channels at every level."""
    levels = len(structure["block_out_channels"])
    return make_unet({**structure, "block_out_channels": [32] * levels})


def test_compat_upstream_is_latentsync_s_and_is_refused(speak):
    target, result = speak("compat=upstream")
    assert result.code == 2 and not target.exists()
    assert "it reproduces LatentSync; leave it out with musetalk" in result.err


def test_a_third_generator_is_a_plug_in_of_one_file(video, speech, run, tmp_path):
    target = tmp_path / "out.mp4"
    files = ("-i", video, "--audio_path", speech, "-o", target)
    named = ("--generator", "tests.support.third_generator:KIND", "generate.silence=model")
    options = ("output.crf=4", "restore.name=none", "output.preset=ultrafast")
    result = run(*files, *named, *options)
    assert result.code == 0, result.err
    report = json.loads(target.with_suffix(".report.json").read_text())
    assert report["generator"]["name"] == "painter"
    assert report["frames"]["generated"] == COUNT
    assert pts_of(target) == pts_of(video)
    before = next(iter(VideoReader(video))).pixels.astype(int)
    change = np.abs(next(iter(VideoReader(target))).pixels - before).max(axis=2)
    assert change[230:270, 150:210].mean() > 30 and change[:180].mean() < 2
    timed = run(*files, *named, *options, "--dry-run", "--overwrite")
    assert timed.code == 0, timed.err
    assert "a painter" in timed.out
    refused = run(*files, *named, *options, "--overwrite", "generate.seed=-1")
    assert refused.code == 2 and "the painter wants it known" in refused.err
    lines = Path("tests/support/third_generator.py").read_text().splitlines()
    assert len(lines) <= 60
