"""What ComfyUI's managers and its registry read of this checkout."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_COMFYUI = {
    *("torch", "numpy", "pyyaml", "einops", "safetensors", "huggingface-hub", "filelock", "av"),
    *("tqdm", "pillow", "torchvision", "torchaudio", "transformers", "scipy"),
}
"""Packages that ComfyUI itself asks for, or what it asks for does."""
RAISED = {"av": ">=18"}
"""What has to be newer than ComfyUI's oldest; ComfyUI sets no upper limit for it."""
SHIPPED = ("__init__.py", "latentsync", "GFPGAN", "CodeFormer")
SECURITY = "S102,S307,E702"
"""What the registry's own client looks for: exec, eval, and several statements in one line."""


def requirements(name: str) -> dict[str, str]:
    """Package, as pip writes it -> what is asked of its version."""
    found = {}
    for line in (ROOT / name).read_text("utf-8").splitlines():
        bare = line.partition("#")[0].strip()
        if bare:
            match = re.fullmatch(r"([A-Za-z][\w.-]*)(.*)", bare)
            assert match, f"{line}: a manager installs each line by itself"
            found[match[1].lower().replace("_", "-")] = match[2]
    return found


def shipped() -> list[Path]:
    return [
        ROOT / SHIPPED[0],
        *(file for name in SHIPPED[1:] for file in (ROOT / name).rglob("*.py")),
    ]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_no_version_of_what_comfyui_has_is_asked_for() -> None:
    bounds = requirements("requirements.txt")
    assert "torch" in bounds
    assert {name: bound for name, bound in bounds.items() if name in OF_COMFYUI and bound} == RAISED


def test_no_version_is_pinned_exactly_so_that_other_nodes_keep_theirs() -> None:
    assert not [one for one in requirements("requirements.txt").items() if "==" in one[1]]


def test_opencv_is_the_one_without_display_and_below_5() -> None:
    names = [name for name in requirements("requirements.txt") if name.startswith("opencv")]
    assert names == ["opencv-python-headless"]
    assert requirements("requirements.txt")[names[0]].endswith("<5")


def test_what_the_project_itself_installs_is_pinned_one_by_one() -> None:
    pinned = requirements("constraints.txt")
    assert pinned.keys() == requirements("requirements.txt").keys()
    assert all(re.fullmatch(r"==\d[\w.]*", version) for version in pinned.values())
    assert "-c constraints.txt" in (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    assert "-r requirements.txt -c constraints.txt" in (ROOT / "Makefile").read_text("utf-8")


def test_the_registry_gets_a_name_a_version_and_nobodys_publisher() -> None:
    made, comfy = project()["project"], project()["tool"]["comfy"]
    assert len(made["name"]) < 100 and "comfyui" not in made["name"].lower()
    assert comfy["PublisherId"] == ""  # whoever publishes fills it in
    assert "comfyui" not in comfy["DisplayName"].lower()
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])
    text = (ROOT / comfy["version"]["path"]).read_text("utf-8")
    assert re.search(r'^__version__ = "\d+\.\d+\.\d+"$', text, re.MULTILINE)


def test_the_registrys_security_check_finds_nothing() -> None:
    line = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", SECURITY]
    done = subprocess.run(
        [*line, "--output-format", "json", *map(str, (ROOT / one for one in SHIPPED))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout) == []


def test_nothing_is_installed_while_it_runs() -> None:
    words = {
        (file.relative_to(ROOT), node.value)
        for file in shipped()
        if "pip" in (text := file.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value == "install"
    }
    assert words == set()
