"""On a terminal the user is asked, and only a yes is one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from latentsync.commands.consent import _agreed
from latentsync.weights.manifest import GFPGAN
from tests.support.terminal import THERE_ARE_NONE, terminal

pytestmark = pytest.mark.skipif(THERE_ARE_NONE, reason="there are no such terminals here")


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y", True), ("YES", True), ("n", False), ("", False), ("yo", False)]
)
def test_only_yes_is_a_yes(answer: str, agreed: bool) -> None:
    with (
        terminal(f"{answer}\n") as made,
        open(made.number, closefd=False) as given,
        open(made.number, "w", closefd=False) as shown,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(sys, "stdin", given)
        patched.setattr(sys, "stderr", shown)
        assert _agreed([GFPGAN]) == agreed
    assert "GFPGANv1.4 (348.6 MB)" in made.shown and "Download them now? [y/N]" in made.shown


@pytest.mark.parametrize("lacking", ["stdin", "stderr"])
def test_without_a_terminal_nobody_is_asked(lacking: str, tmp_path: Path) -> None:
    with (
        terminal("y\n") as made,
        open(made.number, closefd=False) as given,
        open(made.number, "w", closefd=False) as shown,
        (tmp_path / "file").open("w+") as file,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr(sys, "stdin", given)
        patched.setattr(sys, "stderr", shown)
        patched.setattr(sys, lacking, file)
        assert not _agreed([GFPGAN])
    assert "Download" not in made.shown
