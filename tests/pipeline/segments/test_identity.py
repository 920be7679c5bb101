"""What an earlier run made is not used once settings or the code of a plug-in have changed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latentsync.pipeline.segments.identity import _models, plugins_hash, settings_hash
from latentsync.settings.load import load_config


@pytest.mark.parametrize("setting", ["restore.name", "face.detector", "output.watermark"])
def test_a_changed_plug_in_has_another_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None, [f"{setting}=my_plug_in:load"])
    file = tmp_path / "my_plug_in.py"
    file.write_text("strength = 1\n")
    before = plugins_hash(config)
    assert plugins_hash(config) == before != plugins_hash(load_config())
    file.write_text("strength = 2\n")
    assert plugins_hash(config) != before


@pytest.mark.parametrize(
    "changed",
    [
        "generate.guidance_interval=[0.2,0.8]",
        "generate.vae=taesd",
        "generate.lora=anna.safetensors",
        "generate.lora_strength=0.5",
        "generate.musetalk.bbox_shift=5",
    ],
)
def test_what_changes_the_mouths_has_another_hash(changed: str) -> None:
    usual = settings_hash(load_config())
    assert settings_hash(load_config(None, [changed])) != usual
    assert settings_hash(load_config(None, ["generate.vae_batch=2", "generate.seed=3"])) == usual


@pytest.mark.parametrize("replaced", ["unet", "vae", "anna", "whisper", "gfpgan"])
def test_weights_count_by_their_contents_not_by_their_names(tmp_path: Path, replaced: str) -> None:
    files = {name: tmp_path / name for name in ("unet", "vae", "anna", "whisper", "gfpgan")}
    for path in files.values():
        path.write_text("published")
    unet, vae, anna, whisper, gfpgan = files.values()
    generator = SimpleNamespace(name="latentsync", checkpoint=unet, files=(unet, vae, anna))
    lipsync = SimpleNamespace(generator=generator, encoder_files=(whisper,))
    restorer = SimpleNamespace(name="GFPGAN", checkpoint=gfpgan)
    engine: Any = SimpleNamespace(restorer=restorer, lipsync=lipsync)
    before = _models(engine, speaks=True), _models(engine, speaks=False)
    assert _models(engine, speaks=True) == before[0]
    files[replaced].write_text("trained since")
    assert _models(engine, speaks=True) != before[0]
    assert (_models(engine, speaks=False) != before[1]) == (replaced == "gfpgan")
