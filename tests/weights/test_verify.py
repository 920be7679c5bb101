"""Weights files are identified, verified by hash, and need an accepted licence."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from latentsync.errors import CheckpointError, ConfigError
from latentsync.models.unet import UNet3DConditionModel
from latentsync.speech.encoder import tiny
from latentsync.weights import known_licences, licences, manifest, record
from latentsync.weights.convert import convert, made_from
from latentsync.weights.identify import identify_checkpoint
from latentsync.weights.load import build, is_safetensors, read_state_dict
from latentsync.weights.manifest import CODEFORMER, GFPGAN, WHISPER_TINY
from latentsync.weights.model_file import ModelFile
from latentsync.weights.verify import verify
from tests.parity.rule import published_shapes
from tests.support.tiny_latentsync import MODEL, write_vae

CPU = torch.device("cpu")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save(
        {"state_dict": {"module.weight": torch.arange(6.0).view(2, 3).t()}}, tmp_path / "a.pt"
    )
    return tmp_path / "a.pt"


def published(monkeypatch: pytest.MonkeyPatch, model: ModelFile, path: Path) -> ModelFile:
    """The model as if the file were what is published of it."""
    entry = replace(model, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(manifest.MODEL_FILES, model.key, entry)
    return entry


# Hashes


def test_a_hash_is_computed_once_until_the_file_changes(saved: Path) -> None:
    first = record.sha256(saved)
    assert first == hashlib.sha256(saved.read_bytes()).hexdigest() == record.known_sha256(saved)
    times = saved.stat().st_atime_ns, saved.stat().st_mtime_ns
    content = saved.read_bytes()
    saved.write_bytes(b"x" * len(content))
    os.utime(saved, ns=times)
    assert record.sha256(saved) == first, "size and time are the same: not read again"
    os.utime(saved, ns=(times[0], times[1] + 1))
    assert record.known_sha256(saved) == ""
    assert record.sha256(saved) != first


def test_a_damaged_record_is_ignored(saved: Path) -> None:
    record.sha256(saved)
    for damage in ("{", "[]", ""):
        record.record_path().write_text(damage)
        assert record.known_sha256(saved) == ""
        assert record.sha256(saved) == record.known_sha256(saved) != ""


def test_without_a_writable_record_everything_still_works(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert len(record.sha256(saved)) == 64
    assert record.first_time("something")


def test_processes_that_write_the_record_at_once_lose_nothing(tmp_path: Path) -> None:
    code = "import sys; from latentsync.weights import record; record.first_time(sys.argv[1])"
    running = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert json.loads(record.record_path().read_text())["said"] == ["0", "1", "2", "3"]


def test_an_unknown_file_is_used_with_one_warning(
    saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        verify(GFPGAN, saved)
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "is not the published GFPGANv1.4" in caplog.text


def test_the_published_file_causes_no_warning(
    saved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    verify(published(monkeypatch, GFPGAN, saved), saved)
    assert caplog.text == ""


def test_the_published_file_of_another_version_is_refused(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(monkeypatch, manifest.LATENTSYNC_UNET_15, saved)
    with pytest.raises(CheckpointError, match=r"holds LatentSync 1\.5, LatentSync 1\.6 is wanted"):
        verify(manifest.LATENTSYNC_UNET, saved)


# Converted files


def test_a_converted_file_holds_the_same_and_names_its_origin(
    saved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = published(monkeypatch, GFPGAN, saved)
    converted = convert(saved)
    assert converted == saved.with_suffix(".safetensors")
    before, after = read_state_dict(saved), read_state_dict(converted)
    assert before.keys() == after.keys() == {"weight"}
    assert torch.equal(before["weight"], after["weight"])
    assert made_from(converted) == model.sha256
    assert made_from(saved) is None
    verify(model, converted)
    assert caplog.text == ""
    assert not list(saved.parent.glob("*.part"))


def test_what_cannot_be_converted_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="already in safetensors"):
        convert(convert(saved))
    text = tmp_path / "text.pt"
    text.write_text("no weights")
    with pytest.raises(CheckpointError, match="damaged"):
        convert(text)
    assert not text.with_suffix(".safetensors").exists()


def test_a_format_is_identified_by_its_content(saved: Path, tmp_path: Path) -> None:
    disguised = convert(saved).rename(tmp_path / "weights.bin")
    assert is_safetensors(disguised)
    assert torch.equal(read_state_dict(disguised)["weight"], read_state_dict(saved)["weight"])


# Which model


def shapes_of(network: nn.Module, prefix: str = "") -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in network.state_dict().items()}


def meta(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (lambda: meta(published_shapes("gfpgan_v14")), "GFPGAN v1.2, v1.3 or v1.4"),
        (lambda: meta(published_shapes("codeformer")), "CodeFormer"),
        (
            lambda: meta(published_shapes("unet_stage2_512")),
            "a U-Net of LatentSync (20 motion modules, for Whisper tiny)",
        ),
        (
            lambda: meta(published_shapes("unet_stage1")),
            "a U-Net of LatentSync (0 motion modules, for Whisper tiny)",
        ),
        (lambda: shapes_of(UNet3DConditionModel(**MODEL)), "a U-Net of LatentSync"),
        (lambda: shapes_of(tiny()), "Whisper tiny"),
        (lambda: shapes_of(tiny(), "model."), "Whisper tiny in the layout of transformers"),
        (lambda: meta(published_shapes("syncnet_eval")), "SyncNet"),
        (lambda: meta(published_shapes("stable_syncnet")), "LatentSync's StableSyncNet"),
        (lambda: meta(published_shapes("s3fd")), "S3FD"),
        (lambda: meta(published_shapes("hyperiqa")), "HyperIQA"),
    ],
)
def test_a_model_is_identified_by_its_keys(state: Callable, name: str) -> None:
    assert str(identify_checkpoint(state())).startswith(name)


def test_a_vae_is_identified_by_its_keys(tmp_path: Path) -> None:
    file = write_vae(tmp_path) / "diffusion_pytorch_model.safetensors"
    assert identify_checkpoint(read_state_dict(file)) == "a VAE of Stable Diffusion"


def test_an_unknown_model_is_not_identified() -> None:
    assert identify_checkpoint({"layer.weight": torch.ones(1)}) is None


def test_the_wrong_model_is_refused_by_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "GFPGANv1.4.pth"
    torch.save(
        {"encoder.conv1.weight": torch.ones(384, 80, 3), "encoder.blocks.0.x": torch.ones(1)}, path
    )
    with pytest.raises(CheckpointError) as caught:
        build(lambda: nn.Linear(2, 2), GFPGAN, path, CPU)
    message = str(caught.value)
    assert f"{path} holds Whisper tiny, GFPGANv1.4 is wanted" in message
    assert "missing: weight, bias" in message


# Licences


def test_weights_for_non_commercial_use_need_an_accepted_licence(saved: Path) -> None:
    make = lambda: nn.Linear(2, 3, bias=False)  # noqa: E731
    with pytest.raises(ConfigError, match=r"non-commercial.*--accept-licence CodeFormer"):
        build(make, CODEFORMER, saved, CPU)
    licences.accept(["codeformer"])
    assert build(make, CODEFORMER, saved, CPU).weight.shape == (3, 2)
    licences.require([CODEFORMER.licence])


def test_a_licence_can_be_accepted_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSYNC_ACCEPT_LICENCES", "insightface, CodeFormer")
    licences.require([known_licences.SLAB, known_licences.INSIGHTFACE])


def test_every_licence_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"CodeFormer: .*insightface: .*=CodeFormer,insightface"):
        licences.require([known_licences.SLAB, known_licences.INSIGHTFACE, known_licences.MIT])


def test_free_weights_need_no_accepted_licence() -> None:
    licences.require([WHISPER_TINY.licence, GFPGAN.licence])


def test_a_licence_that_is_none_is_not_accepted() -> None:
    with pytest.raises(ConfigError, match="CodeFormer, insightface"):
        licences.accept(["CodeFormer", "everything"])
    with pytest.raises(ConfigError):
        licences.require([known_licences.SLAB])
