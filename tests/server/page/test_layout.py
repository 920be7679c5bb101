"""What stands on the page for whom. Needs gradio, and no browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.server.settings import ServerSettings
from tests.support.page_service import PageService

pytest.importorskip("gradio", reason="gradio is not installed")
from latentsync.server.page.layout import page_of


@pytest.mark.parametrize("token", [None, "a token of at least 16 characters"])
def test_who_had_to_log_in_can_log_out(tmp_path: Path, token: str | None) -> None:
    settings = replace(ServerSettings(root=tmp_path), token=token)
    page = page_of(PageService(settings), settings)
    shown = json.dumps(
        [one["props"].get("value") for one in page.config["components"]], default=str
    )
    assert ("Log out" in shown) is settings.demands_token
