"""What ComfyUI asks of the nodes before any of them runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from latentsync.settings.described import described
from tests.support.made_up_comfy.program import NEW, Program

ROOT = Path(__file__).parents[2]
NAMES = {
    "LatentSyncLipSync": "LatentSync: lip-sync",
    "LatentSyncRestore": "LatentSync: restore mouth",
    "LatentSyncPeople": "LatentSync: people in the video",
    "LatentSyncJudge": "LatentSync: judge",
}


def nodes(program: Program) -> dict[str, Any]:
    """Id -> the declaration of each node."""
    from latentsync.comfy.extension import LatentSyncExtension

    made = asyncio.run(LatentSyncExtension().get_node_list())
    declared = [node.declared() for node in made]  # type: ignore[attr-defined]
    return {one.node_id: one for one in declared}


def inputs_of(program: Program, node: str = "LatentSyncLipSync") -> dict[str, Any]:
    return {one.id: one for one in nodes(program)[node].inputs}


def test_the_four_nodes_have_the_ids_that_saved_workflows_name(program) -> None:
    assert {key: one.display_name for key, one in nodes(program).items()} == NAMES


def test_an_input_of_a_setting_has_its_choices_range_default_and_explanation(program) -> None:
    settings = {one.key: one for one in described()}
    inputs = inputs_of(program)
    when, steps = settings["restore.when"], settings["generate.steps"]
    assert inputs["restore_when"].given["options"] == list(when.choices)
    assert inputs["restore_when"].given["tooltip"] == when.about
    ends = [inputs["generate_steps"].given[key] for key in ("min", "max", "default")]
    assert ends == [steps.low, steps.high, steps.default]
    assert inputs["restore_strength"].io_type == "STRING"  # a number, or the word auto


def test_rarely_used_inputs_are_folded_away_where_comfyui_can(program) -> None:
    given = inputs_of(program)["restore_when"].given
    assert given.get("advanced") is (True if program.version == NEW else None)
    assert inputs_of(program)["restorer"].given.get("advanced") is None


def test_an_option_says_what_would_be_fetched_until_it_is_there(program) -> None:
    given = inputs_of(program)["restorer"].given
    assert "GFPGAN (348.6 MB to fetch)" in given["options"]
    assert "to be fetched: GFPGANv1.4 (348.6 MB)" in given["tooltip"]
    weights = program.folder / "models" / "facerestore_models" / "GFPGANv1.4.pth"
    weights.parent.mkdir(parents=True)
    with weights.open("wb") as file:
        file.truncate(348_632_874)
    program.forget_what_is_here()
    given = inputs_of(program)["restorer"].given
    assert "GFPGAN" in given["options"]
    assert "GFPGAN: installed, licence: Apache-2.0" in given["tooltip"]


def test_licences_are_named_in_the_node_and_not_accepted_by_default(program) -> None:
    for node in ("LatentSyncLipSync", "LatentSyncRestore"):
        given = inputs_of(program, node)["accept_licences"].given
        assert given["default"] is False
        assert "CodeFormer: S-Lab License 1.0 (non-commercial use only)" in given["tooltip"]
        assert inputs_of(program, node)["fetch_weights"].given["default"] is False


def test_defining_the_nodes_imports_no_pipeline_and_changes_nothing() -> None:
    script = """
import logging, os, sys, pytest
from pathlib import Path
from tests.support.made_up_comfy.program import NEW, installed
before = set(sys.modules), list(sys.path), dict(os.environ), logging.getLogger().handlers[:]
with pytest.MonkeyPatch.context() as patch:
    program = installed(patch, NEW, Path(sys.argv[1]))
    import tests.comfy.test_definitions as definitions
    definitions.nodes(program)
    new = {name for name in sys.modules if name not in before[0]}
found = [name for name in ("latentsync.pipeline.session", "latentsync.pipeline.engine",
    "openvino", "diffusers", "latentsync.runtime.execution", "gradio") if name in new]
assert not found, found
assert before[1:] == (sys.path, dict(os.environ), logging.getLogger().handlers)
"""
    arguments = [sys.executable, "-c", script, "unused"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_checkout_enters_its_own_packages_under_their_names(tmp_path: Path) -> None:
    script = """
import importlib.util, sys
from pathlib import Path
root, before = Path(sys.argv[1]), list(sys.path)
name = str(root).replace(".", "_x_")
spec = importlib.util.spec_from_file_location(name, root / "__init__.py")
sys.modules[name] = node = importlib.util.module_from_spec(spec)
spec.loader.exec_module(node)
assert "latentsync" not in sys.modules
for package in node.PACKAGES:
    node._enter(package, node._home())
import CodeFormer, GFPGAN, latentsync.errors
found = [Path(one.__file__) for one in (CodeFormer, GFPGAN, latentsync.errors)]
assert [one.relative_to(root).parts[0] for one in found] == ["CodeFormer", "GFPGAN", "latentsync"]
assert sys.path == before
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(ROOT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_another_package_named_latentsync_is_left_alone_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = ModuleType("latentsync")
    other.__file__ = str(tmp_path / "OtherNode" / "latentsync" / "__init__.py")
    root = loaded_root(monkeypatch)
    monkeypatch.setitem(sys.modules, "latentsync", other)
    with pytest.raises(ImportError) as error:
        asyncio.run(root.comfy_entrypoint())
    assert "another package named latentsync in" in str(error.value)
    assert str(tmp_path / "OtherNode") in str(error.value)
    assert "\n" not in str(error.value)
    assert sys.modules["latentsync"] is other


def test_the_folder_that_comfyui_loads_hands_over_the_nodes(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    extension = asyncio.run(loaded_root(monkeypatch).comfy_entrypoint())
    made = asyncio.run(extension.get_node_list())
    assert [node.declared().node_id for node in made] == list(NAMES)


def loaded_root(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As ComfyUI loads a folder: under the name of its path."""
    from importlib.util import module_from_spec, spec_from_file_location

    name = str(ROOT).replace(".", "_x_")
    spec = spec_from_file_location(name, ROOT / "__init__.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module
