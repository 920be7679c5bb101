"""One call from Python does what one command does."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import latentsync
from latentsync.commands import download
from latentsync.errors import CheckpointError, ConfigError
from latentsync.pipeline.engine import Engine
from latentsync.settings.load import load_config
from latentsync.weights.manifest import (
    FACE_FINDER,
    FACE_MESH,
    HAND_LANDMARKS,
    PALM_FINDER,
    SMALL_FACE_FINDER,
)
from tests.support.media_factory import Tone, make_audio, make_video, pts_of

FAST = {"restore__when": "always", "output__preset": "ultrafast"}
FACES = [
    model.key for model in (FACE_FINDER, SMALL_FACE_FINDER, FACE_MESH, PALM_FINDER, HAND_LANDMARKS)
]
SOFT = {"generator": "tests.support.soft_mouths:load", "data__resolution": 256}


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    return make_video(tmp_path / "in.mp4", demo_frames, audio=[Tone(0.5)])


@pytest.fixture
def speech(tmp_path) -> Path:
    return make_audio(tmp_path / "speech.wav", Tone(0.4, codec="pcm_s16le", rate=16000))


@pytest.fixture
def fetched(tmp_path, monkeypatch) -> list[str]:
    """Keys of the weights that would be downloaded; none are installed."""
    keys: list[str] = []

    def fetch(models, _progress) -> None:
        keys.extend(model.key for model in models)

    monkeypatch.setattr("latentsync.weights.hub.is_offline", lambda: False)
    monkeypatch.setattr("latentsync.weights.ensure.fetch_all", fetch)
    monkeypatch.setattr("latentsync.weights.wheel.installed", lambda *_, **__: None)
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return keys


def test_importing_the_package_imports_no_torch_and_restore_is_a_function():
    code = (
        "import sys, latentsync\nprint('torch' in sys.modules)\n"
        "import latentsync.restoration.base, latentsync.pipeline.session\n"
        "print(callable(latentsync.restore), callable(latentsync.lipsync))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


@pytest.mark.parametrize("kind", [Path, str])
def test_restore_writes_the_video_and_returns_its_report(kind, video, tmp_path):
    target = tmp_path / "out.mp4"
    report = latentsync.restore(
        kind(video), kind(target), superres="Detail", **FAST, output__crf=14
    )
    assert report["frames"]["restored"] == 12
    assert report["settings"]["output"]["crf"] == 14
    assert json.loads((tmp_path / "out.report.json").read_text()) == report
    assert pts_of(target) == pts_of(video)


def test_lipsync_generates_mouths_for_the_speech(video, speech, tmp_path):
    report = latentsync.lipsync(video, speech, tmp_path / "out.mp4", **SOFT, **FAST)
    assert report["frames"]["generated"] == report["frames"]["total"] == 10
    assert (tmp_path / "out.mp4").exists()


def test_restore_leaves_the_speech_of_a_configuration_aside(video, speech, tmp_path):
    config = tmp_path / "own.yaml"
    config.write_text(f"input: {{audio: {speech}, video: nowhere.mp4}}\nrestore: {{when: always}}")
    report = latentsync.restore(video, tmp_path / "out.mp4", config=config)
    assert (report["frames"]["generated"], report["frames"]["restored"]) == (0, 12)


def test_an_output_that_is_there_is_replaced_on_request_only(video, tmp_path):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"dear to me")
    with pytest.raises(ConfigError, match="overwrite"):
        latentsync.restore(video, target, **FAST)
    assert target.read_bytes() == b"dear to me"
    assert latentsync.restore(video, target, overwrite=True, superres=None, **FAST)
    assert len(pts_of(target)) == 12


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"restore__nmae": "GFPGAN"}, "did you mean restore.name?"),
        ({"superes": "GFPGAN"}, "did you mean superres?"),
        ({"crf": 14}, "did you mean output.crf?"),
        ({"output__crf": 99}, "output.crf: 99"),
        ({"superres": "Detail", "restore__name": "GFPGAN"}, "given twice"),
        ({"input__audio": "a.wav"}, r"lipsync\(video, audio, output\)"),
        ({"preset": "fats"}, "did you mean fast?"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_meant(settings, said, video, tmp_path):
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        latentsync.restore(video, tmp_path / "out.mp4", **settings)
    assert not (tmp_path / "out.mp4").exists()


def test_weights_are_not_fetched_unasked_and_the_command_that_does_is_named(
    fetched, video, tmp_path
):
    folders, own = [tmp_path / "my weights"], tmp_path / "my own.yaml"
    own.write_text("restore: {when: always}")
    with pytest.raises(CheckpointError) as caught:
        latentsync.restore(video, "o.mp4", config=own, superres="GFPGAN", weights__folders=folders)
    said = str(caught.value)
    assert "GFPGANv1.4 (348.6 MB)" in said and "download=True" in said
    assert "Face mesh" not in said, "small files are not asked for"
    assert fetched == []
    command = said.split("download them with: python -m scripts.download ")[1].split("; or ")[0]
    options = download.build_parser().read(shlex.split(command))
    config = load_config(options.config, options.overrides)
    assert (config.restore.name, config.generate.name) == ("GFPGAN", "replay")
    assert config.restore.when == "always"
    assert config.weights.folders == [str(folders[0])]


def test_lipsync_names_all_that_is_missing_with_its_size(fetched, video, speech):
    with pytest.raises(CheckpointError) as caught:
        latentsync.lipsync(video, speech, "o.mp4", config="unet.yaml", superres="none")
    for said in ("LatentSync 1.6", "5.5 GB in total", "--config unet.yaml", 'generator="replay"'):
        assert said in str(caught.value)
    assert fetched == []


def test_weights_are_fetched_on_request(fetched, video):
    with pytest.raises(CheckpointError, match="not found"):  # the stand-in fetches nothing
        latentsync.restore(video, "o.mp4", superres="GFPGAN", download=True)
    assert fetched == ["GFPGANv1.4", *FACES]


def test_the_small_models_that_find_faces_are_fetched_unasked_but_not_offline(fetched, video):
    with pytest.raises(CheckpointError, match="not found"):  # the stand-in fetches nothing
        latentsync.restore(video, "o.mp4")
    assert fetched == FACES
    fetched.clear()
    with pytest.raises(CheckpointError) as caught:
        latentsync.restore(video, "o.mp4", weights__offline=True)
    assert fetched == []
    for said in (FACE_MESH.filename, "checkpoints/face/", "scripts.download"):
        assert said in str(caught.value)


def test_an_engine_without_the_models_that_find_faces_says_so(fetched):
    with pytest.raises(CheckpointError, match=FACE_MESH.filename):
        Engine(load_config(overrides=["weights.offline=true"]))
    assert fetched == []
