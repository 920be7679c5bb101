"""From an empty folder to a finished video: the real commands, against a mirror of the hub.

The mirror serves a small model with generated weights; the published sizes and hashes are
replaced by its own, since nothing else would be accepted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from latentsync.media.reader import VideoReader
from latentsync.weights import manifest
from latentsync.weights.find import find
from latentsync.weights.manifest import GFPGAN, LATENTSYNC_UNET, VAE, WHISPER_TINY
from latentsync.weights.model_file import HubFile
from tests.support.command_process import CommandProcess
from tests.support.loopback import Loopback, Served
from tests.support.media_factory import Tone, make_audio, make_video, pts_of
from tests.support.terminal import THERE_ARE_NONE, terminal
from tests.support.tiny_latentsync import MODEL, write_tiny_model

ROOT = Path(__file__).parents[2]
PUBLISHED_ARE_THESE = """
import dataclasses, json, pathlib, sys
from latentsync.weights import manifest
for name, facts in json.loads(sys.argv.pop(1)).items():
    model = getattr(manifest, name)
    url = facts.pop("url", None)
    sources = (manifest.ReleaseFile(url),) if url else model.sources[:1]
    model = dataclasses.replace(model, sources=sources, **facts)
    manifest.MODEL_FILES[model.key] = model
    setattr(manifest, name, model)
from latentsync.weights import find
find.PROJECT_ROOT = pathlib.Path.cwd()
"""
FACES = ("FACE_FINDER", "SMALL_FACE_FINDER", "FACE_MESH", "PALM_FINDER", "HAND_LANDMARKS")
BODY = b"not really a network" * 600_000  # large enough to be asked for
MODELS = {"WHISPER_TINY": WHISPER_TINY, "LATENTSYNC_UNET": LATENTSYNC_UNET, "VAE": VAE}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict[str, Path]]:
    """The sections of a configuration, and the files by their names in the manifest."""
    folder = tmp_path_factory.mktemp("models")
    large_enough_to_be_asked_for = MODEL | {"block_out_channels": [64, 96]}
    sections = write_tiny_model(folder, model=large_enough_to_be_asked_for)
    sections["data"]["num_frames"] = 4
    own = sections.pop("generate")
    files = {
        "LATENTSYNC_UNET": Path(own["checkpoint"]),
        "VAE": Path(own["vae"]) / VAE.filename,
        "WHISPER_TINY": Path(own["whisper"]),
    }
    own = {"generate": {"steps": 2}, "runtime": {"backend": "torch"}}  # converting takes long
    return sections | own, files


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture
def mirror(models: tuple[dict, dict[str, Path]], server: Loopback) -> Loopback:
    """The hub, as nobody has asked it yet."""
    server.files.clear()
    server.asked.clear()
    for name, path in models[1].items():
        source = MODELS[name].sources[0]
        assert isinstance(source, HubFile)
        server.add_to_hub(source.repo, source.filename, Served(path))
    config = (models[1]["VAE"].parent / "config.json").read_bytes()
    revision = hashlib.sha1(VAE.sources[0].repo.encode()).hexdigest()
    headers = {"ETag": '"small"', "X-Repo-Commit": revision}
    server.add(f"/{VAE.sources[0].repo}/resolve/main/config.json", Served(config, headers=headers))
    for name in FACES:
        server.add(f"/{name}", Served(find(getattr(manifest, name))))
    server.add("/GFPGANv1.4.pth", Served(BODY, cut_after=30_000))
    return server


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, models, server: Loopback
) -> Iterator[tuple[CommandProcess, Path]]:
    """Runs scripts.inference and .download in the folder `empty` of a folder, with the mirror for a
    hub. To import what they need takes seconds: one process serves all tests."""
    files = {name: path.read_bytes() for name, path in models[1].items()} | {"GFPGAN": BODY}
    facts: dict[str, dict] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }
    facts["GFPGAN"]["url"] = server.url("/GFPGANv1.4.pth")
    facts |= {name: {"url": server.url(f"/{name}")} for name in FACES}
    folder = tmp_path_factory.mktemp("flow")
    (folder / "empty").mkdir()
    environment = os.environ | {
        "HF_ENDPOINT": server.address,
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "0",
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    with CommandProcess(
        PUBLISHED_ARE_THESE, json.dumps(facts), folder=folder / "empty", environment=environment
    ) as started:
        yield started, folder


@pytest.fixture
def folder(process: tuple[CommandProcess, Path], models, demo_frames) -> Path:
    """With the videos and settings of a test; nothing is left of the test before."""
    _, folder = process
    for path in [*(folder / "empty").iterdir(), *folder.iterdir()]:
        if path.is_file():
            path.unlink()
        elif path.name not in ("empty", "streams"):  # those are the process's own
            shutil.rmtree(path)
    (folder / "small.yaml").write_text(yaml.safe_dump(models[0]))
    make_video(folder / "video.mp4", demo_frames, audio=[Tone(0.5)])
    make_audio(folder / "speech.wav", Tone(0.4, codec="pcm_s16le", rate=16000))
    return folder


@pytest.fixture
def command(process: tuple[CommandProcess, Path], folder: Path, mirror: Loopback) -> CommandProcess:
    return process[0]


def speaking(folder: Path) -> tuple[object, ...]:
    files = ("--video_path", folder / "video.mp4", "--audio_path", folder / "speech.wav")
    return ("--config", folder / "small.yaml", *files, "--video_out_path", folder / "out.mp4")


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def faces_in(folder: Path) -> set[Path]:
    """Where the models that find faces are put."""
    return {folder / getattr(manifest, name).places[0] for name in FACES}


def test_to_restore_by_default_only_small_files_are_fetched_and_nobody_is_asked(
    command, mirror, folder
) -> None:
    files = ("-i", folder / "video.mp4", "-o", folder / "out.mp4", "restore.when=always")
    planned = command("scripts.inference", *files, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "Face mesh: 1.2 MB" in planned.stdout and "6.2 MB to download" in planned.stdout
    assert "unknown" in planned.stdout.splitlines()[-1]
    assert not mirror.asked and not files_in(folder / "empty")
    refused = command("scripts.inference", *files, "--offline")
    assert refused.returncode == 2
    (line,) = refused.stderr.strip().splitlines()
    assert "face_landmark.tflite" in line and "6.2 MB" in line and "scripts.download" in line
    result = command("scripts.inference", *files)
    assert result.returncode == 0, result.stderr
    (said,) = (line for line in result.stderr.splitlines() if "downloading" in line)
    assert "Face mesh (1.2 MB)" in said and "6.2 MB in total" in said and "Apache-2.0" in said
    assert files_in(folder / "empty") == faces_in(folder / "empty")
    assert len(pts_of(folder / "out.mp4")) == 12


def test_one_command_in_an_empty_folder_fetches_what_it_needs_and_makes_the_video(
    command, mirror, folder
) -> None:
    files = (*speaking(folder), "generate.silence=model")  # the speech is a tone
    result = command("scripts.inference", *files, "--superres", "none", "--yes")
    assert result.returncode == 0, result.stderr
    assert "downloading Whisper tiny" in result.stderr
    assert "in total, less than a minute at 10 MB/s" in result.stderr
    assert "Traceback" not in result.stderr and "Warning" not in result.stderr
    assert len(pts_of(folder / "out.mp4")) == 10
    first, second = (next(iter(VideoReader(folder / f))).pixels for f in ("video.mp4", "out.mp4"))
    assert np.abs(first[220:300].astype(int) - second[220:300]).mean() > 3
    assert faces_in(folder / "empty") == files_in(folder / "empty")
    sent = mirror.sent()
    options = ("--superres", "none", "--offline", "--overwrite")
    again = command("scripts.inference", *speaking(folder), *options)
    assert again.returncode == 0, again.stderr
    assert mirror.sent() == sent, "what is here is not fetched again"
    assert "downloading" not in again.stderr


def test_the_first_command_in_a_fresh_clone_says_what_it_needs_and_how_to_get_it(
    command, mirror, folder
) -> None:
    for name in ("configs", "assets"):
        shutil.copytree(ROOT / name, folder / "empty" / name)
    typed = ("--config", "configs/unet.yaml", "--superres", "CodeFormer")
    result = command("scripts.inference", *typed)
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    for said in ("LatentSync 1.6 (", "CodeFormer (376.6 MB)", "at 10 MB/s", "non-commercial"):
        assert said in line
    words = line.split("download them with: python -m scripts.")[1].split(";")[0].split()
    assert words == ["download", *typed, "--accept-licence", "CodeFormer"]
    assert "--yes --accept-licence CodeFormer" in line and "--generator replay" in line
    assert not mirror.asked


def test_nothing_is_fetched_without_a_yes_where_nobody_can_be_asked(
    command, mirror, folder
) -> None:
    result = command("scripts.inference", *speaking(folder), "--superres", "none")
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert "--yes" in line and "--generator replay" in line
    assert not mirror.asked and not (folder / "out.mp4").exists()
    fetch = line.split("download them with: python -m scripts.download ")[1].split(";")[0]
    fetched = command("scripts.download", *shlex.split(fetch))
    assert fetched.returncode == 0, fetched.stderr
    again = command("scripts.download", *shlex.split(fetch), "--offline")
    assert again.returncode == 0, "all is there that the first command needs"


def test_to_restore_only_the_restorer_s_weights_are_asked_for(command, mirror, folder) -> None:
    files = ("-i", folder / "video.mp4", "-o", folder / "out.mp4")
    result = command("scripts.inference", *files, "--superres", "GFPGAN")
    assert "python -m scripts.download --generator replay --superres GFPGAN;" in result.stderr
    assert "lip-syncs" not in result.stderr
    assert (
        command("scripts.download", "--generator", "replay", "--superres", "GFPGAN").returncode == 0
    )
    asked = {request.path for request in mirror.asked}
    assert asked == {"/GFPGANv1.4.pth", *(f"/{name}" for name in FACES)}


@pytest.mark.skipif(THERE_ARE_NONE, reason="there are no such terminals here")
def test_on_a_terminal_the_question_is_asked_first(command, mirror, folder) -> None:
    mirror.files["/GFPGANv1.4.pth"].body = b"other bytes"  # downloaded and refused, which is fast
    files = ("-i", folder / "video.mp4", "-o", folder / "out.mp4", "--superres", "GFPGAN")
    with terminal("y\n") as made:
        result = command.alone("scripts.inference", *files, stdin=made.number, stderr=made.number)
    assert result.returncode == 2
    assert "GFPGANv1.4 (12.0 MB)" in made.shown and "Download them now? [y/N]" in made.shown
    assert len(mirror.asked) == 1


def test_offline_names_everything_that_is_missing_at_once_and_asks_nobody(
    command, mirror, folder
) -> None:
    result = command("scripts.inference", *speaking(folder), "--superres", "GFPGAN", "--offline")
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    for name in ("Whisper tiny", "LatentSync 1.6", "sd-vae-ft-mse", "GFPGANv1.4"):
        assert name in line
    assert not mirror.asked
    assert not (folder / "out.mp4").exists()


def test_files_are_fetched_listed_checked_and_converted(command, mirror, folder) -> None:
    options = ("--config", folder / "small.yaml", "--superres", "GFPGAN")
    fetched = command("scripts.download", *options)
    assert fetched.returncode == 0, fetched.stderr
    gfpgan = folder / "empty" / GFPGAN.places[0]
    assert str(gfpgan) in fetched.stdout
    assert [a.range for a in mirror.requests("/GFPGANv1.4.pth")] == [None, "bytes=30000-"]
    listed = command("scripts.download", "--list")
    rows = {line[:14].strip(): line for line in listed.stdout.splitlines()}
    assert " yes " in rows["GFPGANv1.4"] and str(gfpgan) in rows["GFPGANv1.4"]
    assert "hub ByteDance/LatentSync-1.5" in rows["LatentSync 1.5"]
    gfpgan.write_bytes(gfpgan.read_bytes()[:-1] + b"?")
    changed = command("scripts.download", "--verify")
    assert changed.returncode == 2
    assert f"NOT THE PUBLISHED FILE: GFPGANv1.4: {gfpgan}" in changed.stdout
    gfpgan.unlink()
    converted = command("scripts.download", "--convert")
    assert converted.returncode == 0, converted.stderr
    assert converted.stdout.count(".safetensors") == 2
    verified = command("scripts.download", "--verify")
    assert verified.returncode == 0, verified.stdout
    assert "tiny.safetensors" in verified.stdout
    result = command("scripts.inference", *speaking(folder), "--superres", "none", "--offline")
    assert result.returncode == 0, result.stderr
    assert "latentsync_unet.safetensors" in result.stderr


def test_a_mirror_with_other_bytes_is_refused(command, mirror, folder) -> None:
    path = "/ByteDance/LatentSync-1.6/resolve/main/whisper/tiny.pt"
    served = mirror.files[path]
    served.body = served.read()[:-1] + b"?"
    result = command("scripts.inference", *speaking(folder), "--superres", "none", "--yes")
    assert result.returncode == 2
    assert "tiny.pt" in result.stderr.strip().splitlines()[-1]
    assert not list((folder / "hub").rglob("tiny.pt"))
    assert not (folder / "out.mp4").exists()
