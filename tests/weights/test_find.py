"""Weights are found in all usual places, and all missing ones are named at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from latentsync.errors import CheckpointError
from latentsync.weights.find import find, find_all, recommended_place
from latentsync.weights.manifest import (
    BY_HAND,
    CODEFORMER,
    GFPGAN,
    LATENTSYNC_UNET,
    LATENTSYNC_UNET_15,
    MODEL_FILES,
    VAE,
    WHISPER_TINY,
)
from latentsync.weights.model_file import ModelFile, ReleaseFile, WheelFile


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The current folder and the project's, both empty."""
    here, project = tmp_path / "here", tmp_path / "project"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", project)
    return here, project


def put(path: Path, size: int = 0) -> Path:
    """A file of that size, which takes no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_places_are_tried_in_order_and_the_current_folder_wins(roots: tuple[Path, Path]) -> None:
    for root, place in ((roots[1], 0), (roots[0], 2), (roots[0], 1)):
        file = put(root / GFPGAN.places[place])
        assert find(GFPGAN) == file


def test_a_path_given_by_the_user_wins_over_the_places(tmp_path: Path) -> None:
    put(Path.cwd() / GFPGAN.places[1])
    own = put(tmp_path / "own.bin")
    assert find(GFPGAN, str(own)) == own


def test_missing_weights_name_the_ways_to_get_them() -> None:
    message = refusal(lambda: find(GFPGAN))
    for part in ("scripts.download", "348.6 MB", str(GFPGAN.licence), GFPGAN.places[0]):
        assert part in message


def test_a_path_to_nothing_is_named_with_its_setting(tmp_path: Path) -> None:
    message = refusal(lambda: find(GFPGAN, str(tmp_path)))
    assert message.startswith(f"restore.checkpoint: no such file: {tmp_path}")


@pytest.mark.parametrize("name", ["codeformer.pth", "CodeFormer.pth", "codeformer-v0.1.0.pth"])
def test_a_path_may_name_the_folder_of_the_file(name: str, tmp_path: Path) -> None:
    file = put(tmp_path / name)
    assert find(CODEFORMER, str(tmp_path)) == file


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    wanted: list[tuple[ModelFile, str | None]] = [
        (GFPGAN, None),
        (CODEFORMER, str(tmp_path / "none.pth")),
        (WHISPER_TINY, None),
    ]
    message = refusal(lambda: find_all(wanted))
    for part in ("GFPGANv1.4.pth", "none.pth", "tiny.pt", "800.8 MB"):
        assert part in message
    assert message.count("weights.folders") <= 1
    gfpgan = put(Path.cwd() / GFPGAN.places[1])
    assert "GFPGAN" not in refusal(lambda: find_all(wanted))
    own = put(tmp_path / "none.pth")
    alone = refusal(lambda: find_all(wanted))
    assert alone == refusal(lambda: find(WHISPER_TINY))
    assert find_all(wanted[:2]) == [gfpgan, own]


@pytest.mark.parametrize("where", ["setting", "environment"])
def test_a_folder_that_is_pointed_at_is_searched(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ComfyUI" / "models"
    plain = put(folder / "GFPGANv1.4.pth")
    below = put(folder / "facerestore_models" / "codeformer-v0.1.0.pth", CODEFORMER.bytes)
    folders = [folder] if where == "setting" else []
    if where == "environment":
        value = os.pathsep.join([str(tmp_path / "none"), str(folder)])
        monkeypatch.setenv("LATENTSYNC_CHECKPOINTS", value)
    assert find(GFPGAN, folders=folders) == plain
    assert find(CODEFORMER, folders=folders) == below


def test_below_such_a_folder_a_file_of_the_same_name_needs_the_right_size(tmp_path: Path) -> None:
    other = put(tmp_path / "sdxl" / "vae" / VAE.filename, 1000)
    with pytest.raises(CheckpointError):
        find(VAE, folders=[tmp_path])
    right = put(tmp_path / "sd15" / "vae" / VAE.filename, VAE.bytes)
    assert find(VAE, folders=[tmp_path]) == right != other


def test_a_folder_in_the_environment_is_where_files_are_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: tuple[Path, Path]
) -> None:
    assert recommended_place(GFPGAN) == roots[1] / GFPGAN.places[0]
    monkeypatch.setenv("LATENTSYNC_CHECKPOINTS", str(tmp_path / "weights"))
    assert recommended_place(GFPGAN) == tmp_path / "weights" / GFPGAN.filename


def test_two_versions_of_one_name_are_distinguished_by_size() -> None:
    file = put(Path.cwd() / "checkpoints/latentsync_unet.pt", LATENTSYNC_UNET_15.bytes)
    assert find(LATENTSYNC_UNET_15) == file
    with pytest.raises(CheckpointError):
        find(LATENTSYNC_UNET)
    put(file, 5)  # somebody's own
    assert find(LATENTSYNC_UNET) == find(LATENTSYNC_UNET_15) == file


def test_a_converted_file_is_preferred_while_it_is_not_older() -> None:
    original = put(Path.cwd() / WHISPER_TINY.places[0])
    converted = put(original.with_suffix(".safetensors"))
    assert find(WHISPER_TINY) == converted
    os.utime(original, (2e9, 2e9))
    assert find(WHISPER_TINY) == original
    original.unlink()
    assert find(WHISPER_TINY) == converted


@pytest.mark.parametrize("model", MODEL_FILES.values(), ids=MODEL_FILES)
def test_every_entry_of_the_manifest_is_complete(model: ModelFile) -> None:
    assert len(bytes.fromhex(model.sha256)) == 32
    assert model.bytes > 5e3
    assert all(place.endswith(f"/{model.filename}") for place in model.places)
    for source in model.sources:
        assert str(source).endswith((model.filename, *model.aliases))
        assert not isinstance(source, ReleaseFile) or source.url.startswith("https://")
        assert not isinstance(source, WheelFile) or source.bytes > model.bytes


def test_no_hash_stands_for_two_files() -> None:
    hashes = [model.sha256 for model in MODEL_FILES.values()]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("model", BY_HAND, ids=lambda model: model.key)
def test_a_file_of_unknown_checksum_is_found_where_it_was_put_and_never_downloaded(
    model: ModelFile,
) -> None:
    assert not model.sources and model.key not in MODEL_FILES
    said = refusal(lambda: find(model))
    assert f"get {model.filename} from {model.home} and put it at {model.places[0]}" in said
    assert "downloads what is missing" not in said
    both = refusal(lambda: find_all([(model, None), (WHISPER_TINY, None)]))
    assert f"get {model.filename} from" in both
    assert f"downloads what is missing ({WHISPER_TINY.size}" in both
    file = put(Path.cwd() / model.places[0], 10)
    assert find(model) == file
