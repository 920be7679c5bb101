"""The download command asks for what its flags and settings need."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentsync.commands.download import main
from latentsync.weights.evaluation_files import FETCHED
from latentsync.weights.manifest import FACE_MESH, LR_ASD


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the files that are asked for; none is fetched."""
    keys: list[str] = []

    def ensured(pairs, **_) -> list[Path]:
        keys.extend(model.key for model, _ in pairs)
        return [Path(model.filename) for model, _ in pairs]

    monkeypatch.setattr("latentsync.weights.ensure.ensure_weights", ensured)
    return keys


@pytest.mark.parametrize("flags", [[], ["--speakers"]])
def test_the_model_of_speakers_is_fetched_on_request(flags, wanted, capsys) -> None:
    assert main(["--generator", "replay", *flags]) == 0
    assert FACE_MESH.key in wanted
    assert (LR_ASD.key in wanted) == bool(flags)
    assert f"{FACE_MESH.key}: {FACE_MESH.filename} (licence: Apache-2.0" in capsys.readouterr().out


def test_the_networks_that_judge_are_fetched_without_those_that_generate(wanted) -> None:
    assert main(["--evaluation"]) == 0
    assert {*(model.key for model in FETCHED), FACE_MESH.key} <= {*wanted}
    assert "unet" not in " ".join(wanted).lower()


def test_only_pytorch_s_files_are_converted(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / FACE_MESH.filename).write_bytes(b"TFL3" * 9)
    torch.save({"weight": torch.ones(2)}, tmp_path / LR_ASD.filename)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path)
    monkeypatch.setattr("latentsync.weights.wheel.installed", lambda *_, **__: None)
    assert main(["--convert", f"weights.folders=[{tmp_path}]"]) == 0
    assert [path.stem for path in tmp_path.glob("*.safetensors")] == [Path(LR_ASD.filename).stem]


def test_small_files_are_listed_with_what_needs_them(capsys) -> None:
    assert main(["--list"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if FACE_MESH.filename in line)
    assert "1.2 MB" in row and "Apache-2.0" in row and "face.detector=mediapipe" in row
