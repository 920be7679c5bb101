"""Paths in settings: relative to the file that names them, or to the current folder."""

from dataclasses import asdict

import pytest

from latentsync.settings.load import load_config
from latentsync.settings.paths import absolute
from tests.settings.test_load import value_of

SOME_PATHS = [
    ("input", "video"),
    ("input", "audio"),
    ("restore", "reference"),
    ("generate", "checkpoint"),
]


@pytest.fixture
def two_folders(tmp_path, monkeypatch):
    """The YAML file's folder, and the current one."""
    for name in ("yaml", "current"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "current")
    return tmp_path / "yaml", tmp_path / "current"


@pytest.mark.parametrize(("section", "name"), SOME_PATHS)
def test_a_path_in_a_yaml_is_relative_to_the_yaml(two_folders, section, name):
    folder, current = two_folders
    path = folder / "some.yaml"
    path.write_text(f"{section}: {{{name}: ../media/x}}")
    (folder / "x").touch()
    (current / "x").touch()
    assert value_of(load_config(path), f"{section}.{name}") == str(folder.parent / "media" / "x")
    path.write_text(f"{section}: {{{name}: x}}")
    assert value_of(load_config(path), f"{section}.{name}") == str(folder / "x")


def test_a_path_in_a_yaml_is_relative_to_the_current_folder_if_it_is_only_there(two_folders):
    folder, current = two_folders
    path = folder / "some.yaml"
    path.write_text("input: {video: x}\nweights: {folders: [models, /data]}")
    (current / "x").touch()
    config = load_config(path)
    assert config.input.video == "x"
    assert config.weights.folders == [str(folder / "models"), "/data"]


def test_a_vae_that_is_named_by_a_word_is_no_path(two_folders):
    folder, _ = two_folders
    path = folder / "some.yaml"
    path.write_text("generate: {vae: taesd}")
    (folder / "taesd").mkdir()
    config = load_config(path)
    assert config.generate.vae == "taesd"
    settings = asdict(config)
    absolute(settings)
    assert settings["generate"]["vae"] == "taesd"
    path.write_text("generate: {vae: ./taesd}")
    assert load_config(path).generate.vae == str(folder / "taesd")


def test_elsewhere_and_for_the_output_a_path_is_left_as_it_is(two_folders):
    path = two_folders[0] / "some.yaml"
    path.write_text("output: {path: out.mp4}\ninput: {audio: null}")
    (path.parent / "x").touch()
    config = load_config(path, ["input.video=x"], flags={"restore.reference": "x"})
    given = (config.input.video, config.restore.reference, config.output.path, config.input.audio)
    assert given == ("x", "x", "out.mp4", None)
