"""The file of a LoRA says whose footage it is, and anything else is refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.weights.lora_about import LONGEST_TEXT, LoraAbout, read_about
from latentsync.weights.lora_file import load_lora, save_lora

ABOUT = LoraAbout(
    base="LatentSync 1.6",
    base_sha256="a" * 64,
    base_licence="OpenRAIL++",
    rank=2,
    alpha=3.5,
    targets=("attn2.", "attention_blocks."),
    name="Anna",
    licence="with her consent, for dubbing only",
    source="interviews of May",
    created="2026-11-26T22:00:00+00:00",
    steps=1200,
)


def state() -> dict[str, Tensor]:
    return {"x.lora_A.weight": torch.ones(2, 5), "x.lora_B.weight": torch.zeros(6, 2)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_lora(tmp_path / "anna.safetensors", state(), ABOUT)
    return tmp_path / "anna.safetensors"


def changed(path: Path, **metadata: str) -> Path:
    """The same file with other metadata."""
    save_file(state(), path, metadata={**ABOUT.metadata(), **metadata})
    return path


def test_what_was_saved_is_loaded(path: Path) -> None:
    loaded, about = load_lora(path)
    assert about == ABOUT == read_about(path)
    assert loaded.keys() == state().keys()
    assert all(torch.equal(loaded[key], value) for key, value in state().items())
    assert [one.name for one in path.parent.iterdir()] == [path.name], "no half-written file"


def test_any_reader_of_safetensors_reads_it(path: Path) -> None:
    with safe_open(path, "pt") as file:
        assert file.metadata()["format"] == "pt" and file.metadata()["licence"] == ABOUT.licence
        assert sorted(file.keys()) == sorted(state())


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_lora(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_what_is_no_lora_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    assert "No such file" in refused(path)
    path.write_bytes(b"")
    assert "not a LoRA" in refused(path)
    torch.save({"state_dict": state()}, path)
    assert "not a LoRA" in refused(path)
    save_file({"conv.weight": torch.ones(1)}, path)
    assert "not a LoRA" in refused(path)
    save_file({"lora_unet_mid.lora_down.weight": torch.ones(1)}, path)
    assert "a LoRA of another program" in refused(path)


def test_a_newer_version_and_damage_are_refused(path: Path) -> None:
    assert "LoRA of another version" in refused(changed(path, version="2"))
    assert "damaged LoRA" in refused(changed(path, rank="much"))
    assert "damaged LoRA" in refused(changed(path, rank="0"))
    assert "damaged LoRA" in refused(changed(path, alpha="nan"))
    save_lora(path, state(), ABOUT)
    path.write_bytes(path.read_bytes()[:-9])
    assert "damaged LoRA" in refused(path)


def test_nan_is_neither_saved_nor_loaded(tmp_path: Path) -> None:
    bad = state() | {"x.lora_B.weight": torch.full((6, 2), float("nan"))}
    with pytest.raises(CheckpointError, match=r"NaN or infinity .*x\.lora_B"):
        save_lora(tmp_path / "bad", bad, ABOUT)
    assert not list(tmp_path.iterdir())
    save_file(bad, tmp_path / "bad", metadata=ABOUT.metadata())
    assert "NaN or infinity" in refused(tmp_path / "bad")


def test_texts_of_others_become_one_short_line(path: Path) -> None:
    name = read_about(changed(path, name="Anna\n\x1b[31m  B" + "x" * 1000)).name
    assert name.startswith("Anna [31m Bxx") and len(name) == LONGEST_TEXT


def test_what_it_says_is_read_without_torch(path: Path) -> None:
    code = (
        "import sys, pathlib, json; from latentsync.weights.lora_about import read_about;"
        f"about = read_about(pathlib.Path({str(path)!r}));"
        "print(json.dumps([about.name, 'torch' in sys.modules]))"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(made.stdout) == ["Anna", False]


def test_a_failed_write_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot write the LoRA"):
        save_lora(tmp_path / "file" / "anna", state(), replace(ABOUT))
