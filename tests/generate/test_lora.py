"""generate.lora: merged into the U-Net's weights for every backend, and named where models are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from latentsync.errors import CheckpointError
from latentsync.generate.diffusion import unet_runner
from latentsync.generate.diffusion.lora import about_trained, attach, merge, used_lora
from latentsync.generate.model_spec import face_model
from latentsync.generate.table import generator_kind
from latentsync.models.lora import inject
from latentsync.models.unet import UNet3DConditionModel
from latentsync.pipeline import provenance, report
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.schema import Config
from latentsync.weights.load import read_state_dict
from latentsync.weights.lora_file import save_lora
from latentsync.weights.manifest import LATENTSYNC_UNET
from tests.generate.conftest import Load, chunk, refusal
from tests.support.tiny_latentsync import MODEL, write_unet

RANK = 2
FLOAT32 = 1e-5
OPENVINO = replace(REFERENCE, backend="openvino", threads=1)
ORDER_OF_SUMS = 2e-3  # of OpenVINO's, see test_latentsync_backends

Write = Callable[..., Path]
Configure = Callable[..., Config]


@pytest.fixture(scope="module")
def write(sections: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes a LoRA as training does."""

    def write_it(*, size: float = 0.2, base: Path | None = None, **model: Any) -> Path:
        with torch.device("meta"):
            unet = UNet3DConditionModel(**(MODEL | model))
        inject(unet, RANK, RANK)
        g = torch.Generator().manual_seed(5)
        state = {
            key: size * torch.randn(value.shape, generator=g)
            for key, value in meta_state(unet).items()
        }
        about = about_trained(
            base or Path(sections["generate"]["checkpoint"]),
            LATENTSYNC_UNET,
            rank=RANK,
            alpha=RANK,
            targets=("attn1.", "attn2.", "attention_blocks."),
            name="Anna",
            licence="for dubbing only",
            source="interviews",
        )
        path = tmp_path_factory.mktemp("lora") / "anna.safetensors"
        save_lora(path, state, about)
        return path

    return write_it


def meta_state(unet: nn.Module) -> dict[str, Tensor]:
    return {key: value for key, value in unet.state_dict().items() if ".lora_" in key}


@pytest.fixture(scope="module")
def anna(write: Write) -> str:
    return str(write())


def test_mouths_change_with_it_and_at_strength_0_they_do_not(
    load: Load, anna: str, plain_chunk: Tensor
) -> None:
    made = load(lora=anna)(chunk())
    assert (made - plain_chunk).abs().max() > 0.01
    assert torch.equal(load(lora=anna, lora_strength=0.0)(chunk()), plain_chunk)
    half = load(lora=anna, lora_strength=0.5)(chunk())
    assert not torch.equal(half, made) and not torch.equal(half, plain_chunk)


def test_merged_and_attached_compute_the_same(anna: str, sections: dict[str, Any]) -> None:
    state = read_state_dict(Path(sections["generate"]["checkpoint"]))
    g = torch.Generator().manual_seed(3)
    sample, audio = torch.randn(1, 13, 2, 8, 8, generator=g), torch.randn(2, 4, 384, generator=g)
    made = []
    for use in (merge, attach, None):
        unet = UNet3DConditionModel(**MODEL).eval()
        unet.load_state_dict(state)
        if use is not None:
            assert use(unet, Path(anna), 0.7).name == "Anna"
        with torch.no_grad():
            made.append(unet(sample, 300.0, audio))
    merged, attached, plain = made
    torch.testing.assert_close(merged, attached, rtol=0, atol=FLOAT32 * float(merged.abs().max()))
    assert (merged - plain).abs().max() > 0.01 * merged.abs().max()


def test_openvino_runs_it_too(anna: str, sections: dict[str, Any], configured: Configure) -> None:
    config, base = configured(lora=anna), Path(sections["generate"]["checkpoint"])
    model, used = face_model(config), used_lora(config.generate, base)
    g = torch.Generator().manual_seed(3)
    sample, audio = torch.randn(1, 13, 2, 8, 8, generator=g), torch.randn(2, 50, 384, generator=g)
    plain, wanted, made = (
        unet_runner.load_unet(config.model, model, base, how, lora).step(sample, 300.0, audio)[0]
        for how, lora in ((REFERENCE, None), (REFERENCE, used), (OPENVINO, used))
    )
    torch.testing.assert_close(made, wanted, rtol=0, atol=ORDER_OF_SUMS)
    assert (wanted - plain).abs().max() > 10 * ORDER_OF_SUMS


def test_graphs_are_told_apart_by_content_and_strength_not_by_name(
    write: Write, sections: dict[str, Any], configured: Configure
) -> None:
    base = Path(sections["generate"]["checkpoint"])

    def variant(path: Path, strength: float) -> str:
        used = used_lora(configured(lora=str(path), lora_strength=strength).generate, base)
        assert used is not None
        return unet_runner._variant(MODEL, used.identity)

    path = write()
    plain, one, half = unet_runner._variant(MODEL, ""), variant(path, 1.0), variant(path, 0.5)
    assert len({plain, one, half}) == 3 and variant(path, 0.0) == plain
    again = path.with_name("renamed.safetensors")
    again.write_bytes(path.read_bytes())
    assert variant(again, 1.0) == one
    path.write_bytes(write(size=0.3).read_bytes())
    assert variant(path, 1.0) != one


def test_the_lora_of_another_u_net_is_refused(load: Load, write: Write) -> None:
    wider = str(write(block_out_channels=[32, 96]))
    message = refusal(lambda: load(lora=wider), CheckpointError)
    assert "the LoRA does not fit" in message and wider in message and "wrong shape" in message


def test_another_base_is_warned_of_and_reported(
    load: Load, write: Write, anna: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert report.describe(load(lora=anna))["lora"]["same_base"] is True
    assert not [one for one in caplog.records if "was trained on" in one.message]
    state = UNet3DConditionModel(**MODEL).state_dict()
    torch.save({"state_dict": state}, tmp_path / "other.pt")
    other = str(write(base=tmp_path / "other.pt"))
    assert report.describe(load(lora=other))["lora"]["same_base"] is False
    (said,) = [one.getMessage() for one in caplog.records if "was trained on" in one.message]
    assert other in said and "other.pt" in said


def test_report_marks_and_dry_run_name_it(load: Load, anna: str, configured: Configure) -> None:
    generator = load(lora=anna, lora_strength=0.5)
    found = report.describe(generator)["lora"]
    assert (found["name"], found["strength"], found["file"]) == ("Anna", 0.5, anna)
    assert (found["licence"], found["source"]) == ("for dubbing only", "interviews")
    assert found["base_licence"] == str(LATENTSYNC_UNET.licence) and len(found["sha256"]) == 64
    assert provenance._tool(generator).name == "latentsync, LoRA Anna"
    config = configured(lora=anna, lora_strength=0.5)
    described = generator_kind(config).described(config)
    assert "LoRA Anna at strength 0.5 (licence of its footage: for dubbing only)" in described
    plain = load()
    assert "lora" not in report.describe(plain) and provenance._tool(plain).name == "latentsync"


def test_a_missing_file_is_found_before_any_work(configured: Configure, tmp_path: Path) -> None:
    config = configured(lora=str(tmp_path / "none.safetensors"))
    kind = generator_kind(config)
    message = refusal(lambda: kind.check(config, still=False), CheckpointError)
    assert message.startswith("LoRA cannot be read (No such file")


def test_a_lora_is_latentsync_s_also_where_the_generator_is_chosen_by_itself(anna: str) -> None:
    config = Config()
    config.generate.name, config.generate.lora = "auto", anna
    assert generator_kind(config).title == "LatentSync"


def test_the_weights_file_is_read_and_not_changed(
    load: Load, anna: str, sections: dict[str, Any], tmp_path: Path
) -> None:
    path = Path(write_unet(tmp_path / "unet.pt"))
    before = path.read_bytes()
    load(checkpoint=str(path), lora=anna)
    assert path.read_bytes() == before


def test_its_own_weights_are_found_by_kept_work(load: Load, anna: str) -> None:
    assert Path(anna) in load(lora=anna).files
