"""A weights file is read without running code, and loaded whole or not at all."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from CodeFormer.restorer import load as load_codeformer
from GFPGAN.network import GFPGANv1Clean
from GFPGAN.restorer import load as load_gfpgan
from latentsync.errors import CheckpointError, ConfigError
from latentsync.runtime.device import choose_device
from latentsync.settings.schema import RestoreConfig
from latentsync.weights.licences import accept
from latentsync.weights.load import build, load_strictly, read_state_dict
from latentsync.weights.manifest import GFPGAN
from latentsync.weights.model_file import Licence

CPU = torch.device("cpu")


def small_network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        key: torch.randn(v.shape).to(v.dtype) for key, v in small_network().state_dict().items()
    }


@pytest.fixture
def saved(state: dict[str, Tensor], tmp_path: Path) -> Path:
    torch.save(state, tmp_path / "small.pth")
    return tmp_path / "small.pth"


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


# Reading


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": state},
        lambda state: {"params_ema": state, "params": {"stale": torch.zeros(1)}},
        lambda state: {"params_ema": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {"global_step": 5, "state_dict": state},
    ],
    ids=["bare", "params", "params_ema first", "module prefix", "LatentSync"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])
def test_every_usual_layout_gives_the_same(
    state: dict[str, Tensor], tmp_path: Path, wrap: Callable, zipped: bool
) -> None:
    path = tmp_path / "layout.pth"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=zipped)
    read = read_state_dict(path)
    assert list(read) == list(state)
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_a_safetensors_file_is_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_file(state, path)
    read = read_state_dict(path)
    assert all(torch.equal(read[key], state[key]) for key in state)
    path.write_bytes(path.read_bytes()[:-9])
    assert "download it again" in refusal(lambda: read_state_dict(path))
    assert "No such file" in refusal(lambda: read_state_dict(tmp_path / "none.safetensors"))


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])
def test_a_truncated_file_is_refused(
    state: dict[str, Tensor], tmp_path: Path, kept: float, zipped: bool
) -> None:
    path = tmp_path / "truncated.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    message = refusal(lambda: read_state_dict(path))
    assert str(path) in message
    assert "download it again" in message


@pytest.mark.parametrize("content", [b"version https://git-lfs\noid 1\n", b"<html></html>", b"PK"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.pth"
    path.write_bytes(content)
    assert str(path) in refusal(lambda: read_state_dict(path))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.zeros(1)], torch.zeros(1)])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pth")
    assert "no state_dict" in refusal(lambda: read_state_dict(tmp_path / "other.pth"))


class Mischief:
    """Touches a file when a careless reader unpickles it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable, tuple[Path]]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])
def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "it_ran"
    torch.save({"a": Mischief(trace)}, path, _use_new_zipfile_serialization=zipped)
    assert "holds code" in refusal(lambda: read_state_dict(path))
    assert not trace.exists()
    path.write_bytes(pickle.dumps(Mischief(trace)))
    refusal(lambda: read_state_dict(path))
    assert not trace.exists()


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    assert "No such file" in refusal(lambda: read_state_dict(tmp_path / "none.pth"))


# Loading


def test_a_module_on_meta_takes_the_tensors_over(state: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        network = small_network()
    load_strictly(network, state, Path("small.pth"))
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert network(torch.ones(2, 3)).isfinite().all()


def test_the_module_s_dtype_wins(state: dict[str, Tensor]) -> None:
    half = {key: v.half() if v.is_floating_point() else v for key, v in state.items()}
    network = small_network()
    load_strictly(network, half, Path("small.pth"))
    assert {v.dtype for v in network.parameters()} == {torch.float32}


def test_missing_and_unexpected_keys_are_named(state: dict[str, Tensor]) -> None:
    del state["0.bias"]
    state["head.weight"] = torch.zeros(1)
    message = refusal(lambda: load_strictly(small_network(), state, Path("small.pth")))
    assert "small.pth: missing: 0.bias; unexpected: head.weight" in message


def test_a_wrong_shape_is_named_with_both_shapes(state: dict[str, Tensor]) -> None:
    state["0.weight"] = torch.zeros(4, 5)
    message = refusal(lambda: load_strictly(small_network(), state, Path("small.pth")))
    assert "wrong shape: 0.weight (4, 5), not (4, 3)" in message


def test_nothing_is_loaded_when_something_does_not_fit(state: dict[str, Tensor]) -> None:
    network = small_network()
    before = network[0].weight.clone()
    state["1.weight"] = torch.zeros(7)
    refusal(lambda: load_strictly(network, state, Path("small.pth")))
    assert torch.equal(network[0].weight, before)


def test_the_weights_of_another_network_are_refused_in_few_words(
    state: dict[str, Tensor],
) -> None:
    with torch.device("meta"):
        network = GFPGANv1Clean()
    message = refusal(lambda: load_strictly(network, state, Path("small.pth")))
    assert "missing: conv_body_first.weight" in message
    assert "and 282 more" in message
    assert "unexpected: 0.weight" in message


# Building


def test_a_built_network_holds_the_file_s_weights_and_is_ready(
    state: dict[str, Tensor], saved: Path
) -> None:
    network = build(small_network, GFPGAN, saved, CPU)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not network.training
    assert not any(value.requires_grad for value in network.parameters())


def test_dtype_and_renamed_keys_can_be_requested(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({f"old.{key}": value for key, value in state.items()}, path)
    rename = partial(re.sub, r"^old\.", "")
    half = build(small_network, GFPGAN, path, CPU, dtype=torch.float16, rename=rename)
    assert {value.dtype for value in half.parameters()} == {torch.float16}
    assert torch.equal(half[0].weight, state["0.weight"].half())


class Computed(nn.Module):
    """A buffer that is a formula, and real even on meta; one beside it that must be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("waves", torch.arange(3.0, device="cpu"))
        self.register_buffer("scratch", torch.zeros(1, device="cpu"), persistent=False)


def test_a_file_may_leave_out_what_the_network_computes(tmp_path: Path) -> None:
    path, weight = tmp_path / "short.pth", torch.ones(2)
    torch.save({"weight": weight}, path)
    network = build(Computed, GFPGAN, path, CPU)
    assert network.waves.tolist() == [0, 1, 2]
    torch.save({"weight": weight, "waves": torch.ones(3)}, path)
    assert build(Computed, GFPGAN, path, CPU).waves.tolist() == [1, 1, 1], "the file wins"
    torch.save({"waves": torch.ones(3)}, path)
    assert "missing: weight" in refusal(lambda: build(Computed, GFPGAN, path, CPU))


def test_a_file_of_an_old_pytorch_may_leave_out_the_batches_counted_in_training(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "old.pth")
    network = build(small_network, GFPGAN, tmp_path / "old.pth", CPU)
    assert torch.equal(network.state_dict()["1.running_var"], state["1.running_var"])
    del state["1.running_var"]
    torch.save(state, tmp_path / "old.pth")
    message = refusal(lambda: build(small_network, GFPGAN, tmp_path / "old.pth", CPU))
    assert "missing: 1.running_var" in message


@pytest.mark.parametrize(("ask_as", "level"), [("", logging.INFO), ("CodeFormer", logging.WARNING)])
def test_the_licence_is_said_and_warned_of_where_it_has_to_be_accepted(
    saved: Path, caplog: pytest.LogCaptureFixture, ask_as: str, level: int
) -> None:
    caplog.set_level(logging.INFO, logger="latentsync")
    accept(filter(None, [ask_as]))
    model = replace(GFPGAN, licence=Licence("Some-1.0", "some use", ask_as))
    build(small_network, model, saved, CPU)
    assert [(record.levelno, "Some-1.0" in record.message) for record in caplog.records] == [
        (level, True)
    ]


@pytest.mark.parametrize("load", [load_gfpgan, load_codeformer], ids=["GFPGAN", "CodeFormer"])
@pytest.mark.parametrize("fidelity", [-0.1, 1.21, float("nan")])
def test_a_restorer_refuses_a_fidelity_out_of_range(load: Callable, fidelity: float) -> None:
    with pytest.raises(ConfigError, match=r"restore\.fidelity"):
        load(RestoreConfig(fidelity=fidelity), CPU)


def test_only_codeformer_takes_a_fidelity_above_1(tmp_path: Path) -> None:
    config = RestoreConfig(fidelity=1.2, checkpoint=str(tmp_path / "none.pth"))
    with pytest.raises(ConfigError, match=r"restore\.fidelity"):
        load_gfpgan(config, CPU)
    with pytest.raises(CheckpointError, match="no such file"):
        load_codeformer(config, CPU)


# Device


def test_the_device_is_chosen_by_name() -> None:
    assert choose_device("cpu") == CPU
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type in (expected, "mps")


@pytest.mark.parametrize("name", ["tpu", "", "cuda:7"])
def test_an_unknown_device_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(ConfigError, match=r"--device.*use one of auto, cpu"):
        choose_device(name)
