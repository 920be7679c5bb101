"""What README.md and CONTRIBUTING.md tell a reader to type works as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from latentsync.commands.inference import build_parser
from latentsync.restore.base import Restorer, load_restorer
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.load import load_config
from latentsync.settings.schema import RestoreConfig

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
COMMANDS = re.findall(
    r"^ +python (?:-m scripts\.inference|inference\.py) (.*)$", README + CONTRIBUTING, re.MULTILINE
)


def test_there_are_commands_to_read() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_flags_and_settings_that_exist(command: str) -> None:
    options = build_parser().read(shlex.split(command, comments=True))
    flags = {"restore.name": options.superres, "restore.fidelity": options.fidelity_weight}
    restore = load_config(None, options.overrides, flags=flags).restore
    assert restore.name == (options.superres or "Detail")


def test_every_flag_is_in_the_readme_and_the_other_way_round() -> None:
    actions = [action for action in build_parser()._actions if action.dest != "help"]
    offered = {flag for action in actions for flag in action.option_strings}
    cells = re.findall(r"^\| (`-.*?) \|", README, re.MULTILINE)
    named = {flag for cell in cells for flag in re.findall(r"`(-[\w-]+)", cell)}
    assert {flag.replace("-", "_") for flag in named} == {f.replace("-", "_") for f in offered}


def test_the_example_restorer_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", CONTRIBUTING, re.DOTALL)
    assert code is not None
    (tmp_path / "my_restorer.py").write_text(code[1], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    restorer = load_restorer(RestoreConfig(name="my_restorer:load"), REFERENCE)
    faces = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    restored = restorer(faces)
    assert isinstance(restorer, Restorer)
    assert restored.shape == faces.shape and restored.std() > faces.std()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "assets/README.md"])
def test_local_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    missing = [link for link in links if not (ROOT / document).parent.joinpath(link).exists()]
    assert not missing


def test_the_readme_s_opencv_is_the_one_of_the_requirements() -> None:
    pinned = re.search(
        r"^opencv-contrib-python==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
    assert pinned is not None
    assert re.findall(r"opencv-contrib-python-headless==([\d.]*\d)", README) == [pinned[1]]
