"""A training with a section `lora`: the file for inference, going on, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from latentsync.errors import LatentSyncError, MediaError
from latentsync.models.lora import check_fits
from latentsync.models.unet import UNet3DConditionModel
from latentsync.settings.schema import Config
from latentsync.training.loop import validation
from latentsync.training.loop.checkpoint import checkpoints_of
from latentsync.training.settings.load import load_unet_training
from latentsync.training.unet_run import inference_config, unet_run
from latentsync.weights.lora_file import load_lora
from latentsync.weights.record import file_sha256
from tests.support.clips import make_clips
from tests.training.test_commands import UNET

ROOT = Path(__file__).parents[2]
SAID = ("lora.name=Anna", "lora.licence=with her consent", "lora.source=interviews")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With clips, base.pt, and person.yaml."""
    folder = tmp_path_factory.mktemp("person")
    (folder / "clips").mkdir()
    make_clips(folder / "clips", 2)
    text = UNET % {"clips": folder / "clips", "cache": folder / "cache"}
    (folder / "person.yaml").write_text(text)
    torch.manual_seed(0)
    unet = UNet3DConditionModel(**yaml.safe_load(text)["model"])
    torch.save({"global_step": 900, "state_dict": unet.state_dict()}, folder / "base.pt")
    return folder


def train(place: Path, output: str, *more: str, base: str = "base.pt") -> str:
    """-> how the weights are used."""
    named = f"ckpt.resume_ckpt_path={place / base}" if base else "ckpt.resume_ckpt_path="
    settings = load_unet_training(place / "person.yaml", [named, "lora.rank=2", *SAID, *more])
    run = unet_run(settings, output=place / output)
    return run.use_of(run.fit(lambda: 0, lambda report: None))


def refused(place: Path, *more: str, base: str = "base.pt") -> str:
    with pytest.raises(LatentSyncError) as caught:
        train(place, "refused", *more, base=base)
    assert not (place / "refused").exists() and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_holds_the_lora_alone_and_goes_on_as_if_it_had_not_stopped(
    place: Path,
) -> None:
    before = file_sha256(place / "base.pt")
    used = train(place, "whole", "run.max_train_steps=4")
    for last in (2, 4):
        train(place, "parts", f"run.max_train_steps={last}")
    whole, parts = (checkpoints_of(place / one)[-1] for one in ("whole", "parts"))
    assert whole.step == parts.step == 4, "its steps count from 0, not from the base's 900"
    assert file_sha256(place / "base.pt") == before
    assert used == f"generate.lora={whole.path / 'lora.safetensors'}"
    for name in ("lora.safetensors", "lora_ema.safetensors"):
        (one, about), (other, _) = load_lora(whole.path / name), load_lora(parts.path / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
        assert (about.base, about.base_sha256, about.steps) == ("base.pt", before, 4)
        assert (about.name, about.licence) == ("Anna", "with her consent")
    model = yaml.safe_load((place / "person.yaml").read_text())["model"]
    unet = UNet3DConditionModel(**model)
    check_fits(unet, one, rank=2, targets=about.targets, name="anna")
    assert any(value.abs().max() > 0 for key, value in one.items() if "lora_B" in key)
    assert whole.about["files"][0] == "lora.safetensors"
    assert sum(path.stat().st_size for path in whole.path.iterdir()) < 1_500_000


def test_what_a_lora_needs_is_said_before_anything_is_written(place: Path) -> None:
    assert "ckpt.resume_ckpt_path: not given" in refused(place, base="")
    assert "lora.licence: not given" in refused(place, "lora.licence=")
    short = refused(place, "lora.least_minutes=2")
    assert "the footage is short: 0.1 minutes; 2 minutes are asked for" in short
    assert "weights do not fit" in refused(place, "model.block_out_channels=[32,64]")
    assert "run.trainable_modules" in refused(place, "run.trainable_modules=[attn2.]")


def test_the_shipped_settings_of_a_person_are_accepted() -> None:
    settings = load_unet_training(ROOT / "configs" / "training" / "person.yaml")
    assert (settings.lora.rank, settings.lora.alpha, settings.data.resolution) == (16, 16, 512)
    assert settings.lora.least_minutes == 2 and not settings.run.trainable_modules


def test_the_validation_tries_the_lora_with_the_weights_that_it_is_of(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Config] = []

    def noted(config: Config) -> None:
        tried.append(config)
        raise MediaError("no video", "none", "this is a test")

    monkeypatch.setattr(validation, "checked", noted)
    named = [f"ckpt.resume_ckpt_path={place / 'base.pt'}", "lora.rank=2", *SAID]
    config = inference_config(load_unet_training(place / "person.yaml", named))
    try_it = validation.Validation(config, tmp_path, key="lora")
    with pytest.raises(MediaError):
        try_it(tmp_path / "lora.safetensors", 5)
    (one,) = tried
    assert one.generate.checkpoint == str(place / "base.pt")
    assert one.generate.lora == str(tmp_path / "lora.safetensors")
