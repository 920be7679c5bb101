"""What an earlier run made is not used once the code of a plug-in has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.pipeline.segments.identity import plugins_hash
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
