"""docs/evaluation.md names every figure and every key of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.figures import FIGURES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "evaluation.md").read_text("utf-8")
SCHEMA = json.loads((ROOT / "latentsync/evaluate/evaluation.schema.json").read_text("utf-8"))


@pytest.mark.parametrize("figure", FIGURES.values(), ids=lambda figure: figure.name)
def test_every_figure_has_a_row_with_its_unit_and_direction(figure: Figure) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{figure.name}` |")]
    _, unit, better, _how = (cell.strip() for cell in row.strip("| ").split(" | ", 3))
    near = f"near {figure.goal:g}"
    assert unit == (figure.unit or "–")
    assert better == (near if figure.better == "near" else figure.better)


def test_every_key_is_named() -> None:
    keys = {*SCHEMA["properties"], *SCHEMA["$defs"]["figure"]["properties"]}
    for name in ("job", "difference", "video"):
        keys |= set(SCHEMA["$defs"][name]["properties"])
    keys |= set(SCHEMA["properties"]["frames"]["properties"])
    assert [key for key in keys if f"`{key}`" not in TEXT] == []
