"""Evaluations are what their JSON Schema says."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import latentsync.evaluate
from latentsync.evaluate.comparison import compare, with_comparison
from tests.evaluate.made_up import TABLE, evaluated, measured, report, video

SCHEMA = json.loads(
    (Path(latentsync.evaluate.__file__).parent / "evaluation.schema.json").read_text("utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def full() -> dict[str, Any]:
    found = [measured("softness", 1.5), measured("offset", 0.1)]
    made = evaluated(
        *found,
        report=report(without_face=[[1.0, 2.0]]),
        about={"audio": Path("new.wav")},
        command="python -m scripts.evaluate result.mp4",
    )
    better = [measured("softness", 0.5), measured("offset", 0.1)]
    differences = compare(found, better, TABLE)
    other = evaluated(*better, about={"result": video("other.mp4")})
    return with_comparison(made, other, differences, ("result.mp4", "other.mp4"))


def test_the_schema_is_a_valid_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_full_evaluation_is_valid() -> None:
    VALIDATOR.validate(json.loads(json.dumps(full())))


def test_an_evaluation_of_which_nothing_is_known_is_valid() -> None:
    VALIDATOR.validate(json.loads(json.dumps(evaluated(about={"source": None}))))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "latentsync report"),
        (("schema",), 2),
        (("verdict", "sync"), "excellent"),
        (("figures", "softness", "value"), None),
        (("figures", "softness", "curve"), [0.0] * 2001),
        (("figures", "softness", "grain"), 1),
        (("comparison", "softness", "better"), "left"),
        (("result", "frames"), -1),
        (("extra",), 1),
    ],
)
def test_another_value_or_key_is_not_valid(path: tuple[str, ...], value: object) -> None:
    changed = deepcopy(full())
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not VALIDATOR.is_valid(changed)
