"""latentsync.generate.diffusion.generator: the files and settings that it is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentsync.errors import CheckpointError, ConfigError, UnknownPluginError
from latentsync.generate.model_spec import face_model
from latentsync.generate.table import load_generator
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.schema import Config
from latentsync.weights.load import read_state_dict
from tests.generate.conftest import Load, chunk, refusal
from tests.support.tiny_latentsync import MODEL, write_vae

OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

# Files


def test_every_missing_file_is_named_at_once(load: Load, tmp_path: Path) -> None:
    paths = {key: str(tmp_path / key) for key in ("checkpoint", "vae")}
    message = refusal(lambda: load(**paths), CheckpointError)
    for key, path in paths.items():
        assert f"generate.{key}={path}" in message


@pytest.mark.parametrize(("resolution", "version"), [(256, "1.5"), (512, "1.6")])
def test_the_weights_of_the_resolution_are_required(
    tmp_path: Path, resolution: int, version: str
) -> None:
    config = Config(data={"resolution": resolution})
    config.generate.vae = str(write_vae(tmp_path))
    whole = np.zeros((resolution, resolution), np.float32)
    message = refusal(lambda: load_generator(config, REFERENCE, mask=whole), CheckpointError)
    assert f"weights of LatentSync {version} not found" in message


@pytest.mark.parametrize(
    "settings", [{"use_motion_module": False}, {"block_out_channels": [32, 96]}]
)
def test_the_weights_of_another_u_net_are_refused(load: Load, settings: dict[str, Any]) -> None:
    wrong = MODEL | settings
    assert "weights do not fit" in refusal(lambda: load(model=wrong), CheckpointError)


def test_weights_without_motion_modules_are_refused(
    load: Load, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    state = read_state_dict(Path(sections["generate"]["checkpoint"]))
    still = {key: value for key, value in state.items() if "motion_modules" not in key}
    torch.save({"state_dict": still}, tmp_path / "stage1.pt")
    message = refusal(lambda: load(checkpoint=str(tmp_path / "stage1.pt")), CheckpointError)
    assert "missing: down_blocks.0.motion_modules.0.temporal_transformer.norm.weight" in message


def test_the_vae_s_old_names_of_attention_are_understood(
    load: Load, plain_chunk: Tensor, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    folder = Path(sections["generate"]["vae"])
    state = load_file(folder / "diffusion_pytorch_model.safetensors")
    old = {}
    for key, value in state.items():
        for now, then in OLD_NAMES.items():
            key = key.replace(f".attentions.0.{now}.", f".attentions.0.{then}.")
        old[key] = value
    assert len(old.keys() - state.keys()) == 16
    save_file(old, tmp_path / "old.safetensors")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    made = load(vae=str(tmp_path / "old.safetensors"))(chunk())
    assert torch.equal(made, plain_chunk)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"{", "config.json cannot be read"),
        (b"[]", "config.json cannot be read"),
        (b'{"latent_channels": 16}', "the VAE does not fit"),
        (b'{"block_out_channels": [32, 32]}', "the VAE does not fit"),
        (None, "weights do not fit"),
    ],
)
def test_another_vae_is_refused(
    load: Load,
    tmp_path: Path,
    sections: dict[str, dict[str, Any]],
    config: bytes | None,
    message: str,
) -> None:
    name = "diffusion_pytorch_model.safetensors"
    (tmp_path / name).write_bytes((Path(sections["generate"]["vae"]) / name).read_bytes())
    if config is not None:
        (tmp_path / "config.json").write_bytes(config)
    assert message in refusal(lambda: load(vae=str(tmp_path)), CheckpointError)


# Settings


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"data": {"resolution": 60}}, "data.resolution: 60"),
        ({"data": {"resolution": "big"}}, "data.resolution: big"),
        ({"data": {"num_frames": 0}}, "data.num_frames: 0"),
        ({"data": {"num_frames": 25}}, "data.num_frames: 25"),
        ({"model": {"cross_attention_dim": 512}}, "model.cross_attention_dim: 512"),
        ({"model": {"in_channels": 9}}, "model.in_channels: 9"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(
    configured: Callable[..., Config], settings: dict[str, Any], key: str
) -> None:
    assert key in refusal(lambda: face_model(configured(**settings)), ConfigError)


def test_an_empty_section_means_version_1_6() -> None:
    model = face_model(Config())
    assert (model.resolution, model.frames, model.audio) == (512, 16, 384)


def test_an_unknown_generator_is_refused(
    configured: Callable[..., Config], mask: np.ndarray
) -> None:
    unknown = configured(name="wav2lip")
    message = refusal(lambda: load_generator(unknown, REFERENCE, mask=mask), UnknownPluginError)
    assert "latentsync" in message
