"""What an earlier run made is not used once settings or the code of a plug-in have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.pipeline.segments.identity import plugins_hash, settings_hash
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
        "generate.musetalk.bbox_shift=5",
    ],
)
def test_what_changes_the_mouths_has_another_hash(changed: str) -> None:
    usual = settings_hash(load_config())
    assert settings_hash(load_config(None, [changed])) != usual
    assert settings_hash(load_config(None, ["generate.vae_batch=2", "generate.seed=3"])) == usual
