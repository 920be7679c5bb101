"""Every YAML file in configs/ is complete, valid and explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from latentsync.settings.checks import CHOICES, RANGES
from latentsync.settings.load import all_keys, load_config
from latentsync.settings.schema import Config, MuseTalkConfig, ReplayConfig

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "configs").glob("*.yaml"))


def settings(node: yaml.MappingNode, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Dotted key and line number (from 0) of every setting below the node."""
    for key, value in node.value:
        if isinstance(value, yaml.MappingNode):
            yield from settings(value, f"{prefix}{key.value}.")
        else:
            yield f"{prefix}{key.value}", key.start_mark.line


def unexplained(text: str) -> list[str]:
    """Settings with a comment neither on the line above nor beside them."""
    lines = text.splitlines()
    return [
        key
        for key, line in settings(yaml.compose(text))
        if " #" not in lines[line] and not lines[line - 1].lstrip().startswith("#")
    ]


def comments(text: str) -> dict[str, str]:
    """Dotted key of every setting -> the lines of comment above it."""
    lines = text.splitlines()
    found = {}
    for key, line in settings(yaml.compose(text)):
        first = line
        while lines[first - 1].lstrip().startswith("#"):
            first -= 1
        found[key] = " ".join(lines[first:line])
    return found


DEMO = comments((ROOT / "configs/demo.yaml").read_text("utf-8"))


def test_there_is_a_configuration_for_the_demo() -> None:
    assert ROOT / "configs/demo.yaml" in FILES


def test_the_demo_s_file_holds_every_key_of_the_schema_once() -> None:
    text = (ROOT / "configs/demo.yaml").read_text("utf-8")
    keys = [key for key, _ in settings(yaml.compose(text))]
    assert sorted(keys) == sorted(all_keys())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_is_explained_above_or_beside_it(path: Path) -> None:
    assert unexplained(path.read_text("utf-8")) == []


def test_a_setting_without_a_comment_is_noticed() -> None:
    assert unexplained("a:\n  # why\n  b: 1\n  c: 2\n  d: 3  # why\n") == ["a.c"]


@pytest.mark.parametrize("key", sorted(RANGES.keys() - {"generate.seed"}))
def test_the_demo_s_file_states_the_range_of_a_number(key: str) -> None:
    numbers = {float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", DEMO[key])}
    assert set(RANGES[key]) <= numbers


@pytest.mark.parametrize("key", CHOICES)
def test_the_demo_s_file_names_every_value_of_a_choice(key: str) -> None:
    assert set(CHOICES[key]) <= set(re.findall(r"\w+", DEMO[key]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_accepted(path: Path) -> None:
    assert isinstance(load_config(path), Config)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_file_reads_is_there(path: Path) -> None:
    given = load_config(path).input
    assert all(Path(one).is_file() for one in (given.video, given.audio) if one is not None)


def test_the_demo_shows_the_defaults() -> None:
    shown, defaults = asdict(load_config(ROOT / "configs/demo.yaml")), asdict(Config())
    assert shown.pop("input") == {
        "video": str(ROOT / "assets/demo_speaker.mp4"),
        "audio": str(ROOT / "assets/demo_speech.wav"),
        "audio_offset": 0.0,
    }
    assert shown["output"].pop("path") == "outputs/demo.mp4"
    assert shown["generate"].pop("name") == "replay"
    del defaults["input"], defaults["output"]["path"], defaults["generate"]["name"]
    assert shown == defaults


def test_replay_has_a_file_with_the_defaults_and_no_paths() -> None:
    text = (ROOT / "configs/replay.yaml").read_text("utf-8")
    shown, defaults = asdict(load_config(ROOT / "configs/replay.yaml")), asdict(Config())
    assert shown["generate"].pop("name") == "replay"
    del defaults["generate"]["name"]
    assert shown == defaults
    keys = {key for key, _ in settings(yaml.compose(text))}
    assert not keys & {"input.video", "input.audio", "output.path"}
    assert {f"generate.replay.{name}" for name in asdict(ReplayConfig())} < keys


def test_musetalk_has_a_file_with_the_defaults_and_no_paths() -> None:
    text = (ROOT / "configs/musetalk.yaml").read_text("utf-8")
    shown, defaults = asdict(load_config(ROOT / "configs/musetalk.yaml")), asdict(Config())
    assert shown["generate"].pop("name") == "musetalk"
    del defaults["generate"]["name"]
    assert shown == defaults
    keys = {key for key, _ in settings(yaml.compose(text))}
    assert not keys & {"input.video", "input.audio", "output.path"}
    assert {f"generate.musetalk.{name}" for name in asdict(MuseTalkConfig())} < keys


def test_the_demo_videos_are_there_and_small() -> None:
    assets = [path for path in (ROOT / "assets").iterdir() if path.is_file()]
    assert {"demo_speaker.mp4", "demo_lipsynced.mp4"} < {path.name for path in assets}
    assert sum(path.stat().st_size for path in assets if path.name.startswith("demo_")) < 2_500_000
