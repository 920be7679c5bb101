"""The nodes in a made-up ComfyUI, in each of two versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.made_up_comfy.program import NEW, OLD, Program, installed


@pytest.fixture(params=[OLD, NEW])
def program(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Program:
    return installed(monkeypatch, request.param, tmp_path / "ComfyUI")


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    """The newer version only."""
    return installed(monkeypatch, NEW, tmp_path / "ComfyUI")
