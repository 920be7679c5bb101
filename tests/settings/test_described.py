"""Every setting is described by one value, and its JSON Schema allows what the settings allow."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from latentsync.errors import ConfigError
from latentsync.settings import described as module
from latentsync.settings.described import Setting, described, settings_schema
from latentsync.settings.load import all_keys, load_config

SETTINGS = {one.key: one for one in described()}


def test_every_key_is_described_once_in_the_file_s_order() -> None:
    keys = [one.key for one in described()]
    assert sorted(keys) == sorted(all_keys())
    assert keys[:3] == ["preset", "compat", "input.video"] and keys[-1] == "runtime.threads"


def test_a_description_says_what_kind_of_value_is_meant() -> None:
    kinds = {key: SETTINGS[key].kind for key in ("output.report", "generate.steps", "speakers")}
    assert kinds == {"output.report": "bool", "generate.steps": "int", "speakers": "list"}
    strength, silence = SETTINGS["restore.strength"], SETTINGS["generate.silence"]
    assert (strength.kind, strength.low, strength.high) == ("float", 0, 1)
    assert (strength.words, strength.default, strength.optional) == (("auto",), "auto", False)
    assert silence.kind == "choice" and silence.choices == ("model", "original", "closed")
    assert SETTINGS["restore.fidelity"].optional and SETTINGS["restore.fidelity"].default is None
    assert SETTINGS["preset"].choices == ("draft", "fast", "balanced", "quality")


def test_paths_are_known_also_those_inside_of_lists() -> None:
    paths = {one.key for one in described() if one.path}
    assert {"input.video", "output.path", "output.sign.key", "speakers", "weights.folders"} < paths
    assert not paths & {"output.codec", "face.speaker", "restore.name"}


def test_a_setting_belongs_to_the_first_part_of_its_key() -> None:
    assert SETTINGS["generate.replay.source"].section == "generate"
    assert SETTINGS["preset"].section == ""


def test_explanations_are_sentences_without_what_only_a_command_line_needs() -> None:
    for one in described():
        assert one.about and one.about == one.about.strip(), one.key
        assert not any(word in one.about for word in ("#", "Flag", "--seed", "The old ")), one.key
    assert SETTINGS["face.smoothing_seconds"].about.endswith("for very fast head movements.")


def test_an_example_keeps_its_lines() -> None:
    lines = SETTINGS["speakers"].about.splitlines()
    assert lines[0].endswith("Example:") and lines[1].strip() == "speakers:"
    assert len(lines) == 4


def test_a_missing_file_of_explanations_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "shipped_config", lambda path: None)
    with pytest.raises(ConfigError, match=r"demo\.yaml"):
        module._explanations()


VALUES: list[tuple[str, Any]] = [
    *(("restore.strength", 0.5), ("restore.strength", "auto"), ("restore.strength", 1.5)),
    *(("restore.strength", "much"), ("output.quality", 0), ("output.quality", "auto")),
    *(("generate.steps", 20), ("generate.steps", 0), ("generate.silence", "closed")),
    *(("generate.silence", "loud"), ("restore.fidelity", None), ("output.report", True)),
    *(("preset", "fast"), ("preset", "slow"), ("output.fps", "25"), ("restore.when", "always")),
    *(("generate.guidance_interval", one) for one in ([0.2, 0.8], [0, 1], ["a", "b"], 0.5)),
]


@pytest.mark.parametrize(("key", "value"), VALUES)
def test_the_schema_allows_a_value_exactly_where_the_settings_do(key: str, value: Any) -> None:
    schema = settings_schema(lambda one: one == key)
    is_valid = jsonschema.Draft202012Validator(schema).is_valid({key: value})
    assert is_valid == accepted(key, value)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(settings_schema(lambda key: True))


def accepted(key: str, value: Any) -> bool:
    try:
        load_config(flags={key: value, "restore.name": "CodeFormer"})
    except ConfigError:
        return False
    return True


def test_the_schema_holds_allowed_keys_only() -> None:
    schema = settings_schema(lambda key: key.startswith("face."))
    assert set(schema["properties"]) == {key for key in SETTINGS if key.startswith("face.")}
    assert not jsonschema.Draft202012Validator(schema).is_valid({"output.path": "x.mp4"})


def test_defaults_are_valid_values() -> None:
    for one in described():
        assert jsonschema.Draft202012Validator(one.schema()).is_valid(one.default), one.key


def test_it_needs_neither_torch_nor_gradio_nor_omegaconf() -> None:
    code = (
        "import sys; from latentsync.settings.described import described; described();"
        "print([name for name in ('torch', 'gradio', 'omegaconf') if name in sys.modules])"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


def test_values_compare() -> None:
    one = SETTINGS["generate.seed"]
    assert one == Setting(one.key, "int", 1247, one.about, (), -1, 2**63 - 1)
