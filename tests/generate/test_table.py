"""A generator is known by its entry in the table alone; `auto` takes the fast one on a CPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latentsync.errors import ConfigError, UnknownPluginError
from latentsync.generate import table
from latentsync.generate.base import AUDIO_INPUTS
from latentsync.generate.diffusion.kind import KIND as LATENTSYNC
from latentsync.generate.musetalk.kind import KIND as MUSETALK
from latentsync.generate.table import GENERATORS, GeneratorKind, audio_input, generator_kind
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config, GenerateConfig, RuntimeConfig
from tests.support.soft_mouths import load


def config(name: str, **more: object) -> Config:
    return Config(generate=GenerateConfig(name=name, **more))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The weights that are found."""
    found = [tmp_path / name for name in ("unet.pth", "tiny.pt", "vae.safetensors")]
    really = table.find_all
    monkeypatch.setattr(table, "find_all", lambda *some, **more: found or really(*some, **more))
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path)
    return found


def test_every_generator_of_the_table_says_what_it_needs_and_costs() -> None:
    for name in GENERATORS:
        kind = generator_kind(config(name.upper()))
        assert isinstance(kind, GeneratorKind) and kind.trials is not None
        assert kind.described(config(name)).startswith(name)
        assert kind.title and kind.about, "for lists of generators"
        assert bool(kind.weights(config(name))) == kind.network == bool(kind.graphs)


def test_what_a_generator_needs_is_known_without_torch() -> None:
    code = """
import sys
from latentsync.generate.table import GENERATORS, generator_kind
from latentsync.settings.schema import Config, GenerateConfig
for name in GENERATORS:
    config = Config(generate=GenerateConfig(name=name))
    kind = generator_kind(config)
    kind.weights(config), kind.size(config), kind.described(config), kind.check(config, still=False)
print("torch" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_loading_function_alone_is_a_generator() -> None:
    kind = generator_kind(config("tests.support.soft_mouths:load"))
    assert kind.load is load
    assert kind.weights(Config()) == [] and kind.network
    assert kind.trials is None and kind.described(config("a:b")) == "a:b"
    with pytest.raises(UnknownPluginError, match="latentsync, musetalk"):
        generator_kind(config("mustalk"))


def test_auto_is_musetalk_on_a_cpu_where_all_its_weights_are_found(here: list[Path]) -> None:
    draft = load_config(None, ["preset=draft", "runtime.device=cpu"])
    assert generator_kind(draft) is MUSETALK
    here.clear()
    assert generator_kind(draft) is LATENTSYNC


def test_the_small_vae_of_a_draft_does_not_choose_the_generator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(table, "find_all", lambda some, **_: asked.extend(m.key for m, _ in some))
    draft = load_config(None, ["preset=draft", "runtime.device=cpu"])
    assert generator_kind(draft) is MUSETALK
    assert asked == ["Whisper tiny", "MuseTalk 1.5"]
    assert [model.key for model, _ in MUSETALK.weights(draft)] == [*asked, "TAESD"]
    assert "TAESD" in [model.key for model, _ in LATENTSYNC.weights(draft)]


def test_auto_is_latentsync_on_a_gpu_and_with_a_checkpoint_of_its_own(
    here: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = config("auto", checkpoint="latentsync_unet.pt")
    assert generator_kind(own) is LATENTSYNC
    monkeypatch.setattr("latentsync.runtime.device.choose_device", torch.device)
    on_gpu = replace(config("Auto"), runtime=RuntimeConfig(device="cuda"))
    assert generator_kind(on_gpu) is LATENTSYNC


def test_another_kind_of_audio_is_refused() -> None:
    class Odd:
        name, audio = "odd", "melody"

    with pytest.raises(ConfigError, match=", ".join(AUDIO_INPUTS)):
        audio_input(Odd())
