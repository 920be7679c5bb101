"""The example workflows fit the nodes: a name that a workflow has and a node has not is an error
on the page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "example_workflows"
"""The name under which ComfyUI looks for the templates of a node."""
WORKFLOWS = {
    "lipsync": "LatentSyncLipSync",
    "restore_mouth": "LatentSyncRestore",
    "people": "LatentSyncPeople",
    "judge": "LatentSyncJudge",
}
COMFYUI = {"LoadVideo", "LoadAudio", "SaveVideo", "PreviewAny", "MarkdownNote"}
"""Nodes of ComfyUI itself, in the oldest version that the nodes are for."""
SOCKETS = {"VIDEO", "AUDIO", "IMAGE"}
"""Types of inputs that are connected; all others have a field in the node, a widget."""


def workflow(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def own_node(name: str) -> dict[str, Any]:
    (node,) = [one for one in workflow(name)["nodes"] if one["type"] == WORKFLOWS[name]]
    return node


def declared(kind: str) -> Any:
    from latentsync.comfy.extension import LatentSyncExtension

    made = asyncio.run(LatentSyncExtension().get_node_list())
    (found,) = [one.declared() for one in made if one.declared().node_id == kind]  # type: ignore[attr-defined]
    return found


def test_each_node_has_one_example() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(WORKFLOWS)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_needs_no_other_nodes_than_ours_and_comfyuis_own(name: str) -> None:
    assert {one["type"] for one in workflow(name)["nodes"]} <= {*COMFYUI, WORKFLOWS[name]}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_its_inputs_and_outputs_are_those_of_the_node_in_order(program: Any, name: str) -> None:
    node, schema = own_node(name), declared(WORKFLOWS[name])
    assert [one["name"] for one in node["inputs"]] == [one.id for one in schema.inputs]
    assert [one["type"] for one in node["inputs"]] == [one.io_type for one in schema.inputs]
    assert [one["name"] for one in node["outputs"]] == [one.display_name for one in schema.outputs]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_its_values_are_those_that_the_fields_take_in_order(program: Any, name: str) -> None:
    fields = [one for one in declared(WORKFLOWS[name]).inputs if one.io_type not in SOCKETS]
    values = own_node(name)["widgets_values"]
    assert len(values) == len(fields)
    for field, value in zip(fields, values, strict=True):
        given = field.given
        if field.io_type == "COMBO":
            assert value in given["options"], field.id
        else:
            assert type(value) is type(given["default"]) or value == given["default"], field.id


@pytest.mark.parametrize("name", WORKFLOWS)
def test_its_links_join_outputs_and_inputs_of_one_type(name: str) -> None:
    whole = workflow(name)
    nodes = {one["id"]: one for one in whole["nodes"]}
    for link, source, output, target, place, kind in whole["links"]:
        taken, given = nodes[target]["inputs"][place], nodes[source]["outputs"][output]
        assert taken["link"] == link and link in given["links"]
        assert given["type"] == kind and taken["type"] in (kind, "*")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_its_files_are_the_clips_of_the_checkout(name: str) -> None:
    loaders = [one for one in workflow(name)["nodes"] if one["type"].startswith("Load")]
    assert loaders
    assert all((ROOT / "assets" / one["widgets_values"][0]).is_file() for one in loaders)
