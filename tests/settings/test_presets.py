"""A preset sets several keys, and keys written in the same place override it."""

from __future__ import annotations

import re
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path

import pytest
import yaml

from latentsync.commands.inference import build_parser
from latentsync.errors import ConfigError
from latentsync.generate.diffusion.guidance import guided_steps
from latentsync.settings.load import load_config
from latentsync.settings.presets import PRESETS
from latentsync.settings.schema import Config

ROOT = Path(__file__).parents[2]
SPEED = (ROOT / "docs" / "speed.md").read_text("utf-8")


@pytest.fixture
def asks_for_fast(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text("preset: fast\ngenerate: {steps: 12}\n")
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_what_it_says_and_nothing_else(name: str) -> None:
    config = load_config(None, [f"preset={name}"])
    for key, value in PRESETS[name].items():
        assert attrgetter(key)(config) == value
    assert config.preset == name
    usual = {key: attrgetter(key)(Config()) for key in PRESETS[name]}
    back = [f"{key}={'null' if value is None else value}" for key, value in usual.items()]
    assert asdict(load_config(None, [f"preset={name}", *back])) == asdict(Config(preset=name))


def test_every_preset_sets_the_same_keys_but_draft_chooses_generator_and_vae_too() -> None:
    keys = {name: set(settings) for name, settings in PRESETS.items()}
    assert keys.pop("draft") - {"generate.name", "generate.vae"} == keys["fast"]
    assert len({tuple(sorted(one)) for one in keys.values()}) == 1


def test_quality_is_what_comes_without_a_preset() -> None:
    assert asdict(load_config(None, ["preset=quality"])) == asdict(Config(preset="quality"))


def test_each_preset_runs_the_network_less_often_than_the_next() -> None:
    def passes(name: str) -> float:
        own = load_config(None, [f"preset={name}"]).generate
        guided = guided_steps(own.steps, own.guidance, own.guidance_interval, own.step_cache)
        return sum(1 + one for one in guided[:: max(own.step_cache, 1)])

    assert passes("draft") < passes("fast") < passes("balanced") < passes("quality")


def test_a_key_in_the_file_beats_the_preset_of_the_file(asks_for_fast: Path) -> None:
    own = load_config(asks_for_fast).generate
    assert (own.steps, own.scheduler) == (12, "dpmpp_2m")


def test_a_preset_on_the_command_line_beats_the_file(asks_for_fast: Path) -> None:
    own = load_config(asks_for_fast, flags={"preset": "balanced"}).generate
    assert (own.steps, own.scheduler) == (20, "ddim")


def test_a_setting_on_the_command_line_beats_the_preset(asks_for_fast: Path) -> None:
    own = load_config(
        None, ["generate.steps=5"], flags={"preset": "fast", "generate.guidance": 2.0}
    ).generate
    assert (own.steps, own.guidance, own.step_cache) == (5, 2.0, 2)


def test_the_flag_beats_the_setting_of_the_same_name() -> None:
    config = load_config(None, ["preset=fast"], flags={"preset": "quality"})
    assert (config.preset, config.generate.steps) == ("quality", 20)


def test_the_preset_of_a_file_can_be_unset(asks_for_fast: Path) -> None:
    config = load_config(asks_for_fast, ["preset=null"])
    assert (config.preset, config.generate.scheduler) == (None, "ddim")


@pytest.mark.parametrize("name", ["fst", "veryfast", "5"])
def test_a_preset_that_does_not_exist_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [f"preset={name}"])
    assert f"preset: {name}; use draft, fast, balanced, quality" in str(caught.value)
    assert "output.preset" in str(caught.value) and "\n" not in str(caught.value)


def test_a_preset_that_is_not_a_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("preset: {output: fast}\n")
    with pytest.raises(ConfigError, match="use draft, fast, balanced, quality"):
        load_config(path)


def test_the_flag_is_there() -> None:
    assert build_parser().read(["--preset", "fast"]).preset == "fast"


def test_the_table_in_the_documentation_says_what_each_preset_sets() -> None:
    table = re.search(r"^\| preset sets \|.*\n\|[-|]+\n((?:\|.*\n)+)", SPEED, re.MULTILINE)
    assert table is not None
    names = re.findall(r"`(\w+)`", table[0].splitlines()[0])
    shown: dict[str, dict[str, object]] = {name: {} for name in names}
    for row in table[1].splitlines():
        key, *values = (cell.strip(" `") for cell in row.strip("|").split("|"))
        for name, value in zip(names, values, strict=True):
            shown[name][key] = yaml.safe_load(value)
    assert "`draft` also sets `generate.name=auto` and `generate.vae=taesd`" in SPEED
    named = {name: dict(settings) for name, settings in PRESETS.items()}
    assert named["draft"].pop("generate.name") == "auto"
    assert named["draft"].pop("generate.vae") == "taesd"
    assert shown == named
