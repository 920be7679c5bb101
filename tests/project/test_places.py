"""A checkout keeps everything in its own folders, an installed package in the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync import places
from latentsync.errors import ConfigError
from latentsync.settings.load import load_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home, with no folders named in the environment."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed package, with a configuration."""
    folder = tmp_path / "site-packages" / "latentsync"
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "mine.yaml").write_text("generate:\n  steps: 7\n")
    monkeypatch.setattr(places, "PACKAGE", folder)
    return folder


def folders() -> list[Path]:
    return [places.weights_root(), places.cache_folder(), places.state_folder()]


def test_a_checkout_has_its_weights_in_its_own_folder(home: Path) -> None:
    assert folders() == [ROOT, home / ".cache/latentsync", home / ".local/state/latentsync"]


def test_an_installed_package_writes_into_the_user_s_folders_only(
    package: Path, home: Path
) -> None:
    assert all(folder.is_relative_to(home) and folder.name == "latentsync" for folder in folders())
    assert len(set(folders())) == 3


def test_an_installed_package_asks_the_system_where_that_is(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("data", "cache", "state"):
        place = Path("Library", kind)
        monkeypatch.setattr(f"platformdirs.user_{kind}_path", lambda *_, place=place, **__: place)
    assert folders() == [Path("Library", kind) for kind in ("data", "cache", "state")]


@pytest.mark.parametrize("installed", [False, True])
def test_folders_that_the_environment_names_count_either_way(
    installed: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed:
        request.getfixturevalue("package")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert folders()[1:] == [Path("/c/latentsync"), Path("/s/latentsync")]


@pytest.mark.parametrize("name", ["mine.yaml", "configs/mine.yaml"])
def test_a_configuration_that_is_not_here_is_the_shipped_one(package: Path, name: str) -> None:
    assert load_config(name).generate.steps == 7


def test_a_configuration_in_the_current_folder_wins(package: Path) -> None:
    Path("mine.yaml").write_text("generate:\n  steps: 9\n")
    assert load_config("mine.yaml").generate.steps == 9


@pytest.mark.parametrize("name", ["other.yaml", "elsewhere/mine.yaml", "/mine.yaml"])
def test_a_configuration_of_another_folder_is_never_guessed(package: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="not found"):
        load_config(name)


def test_a_checkout_s_configurations_are_found_from_any_folder() -> None:
    assert load_config("replay.yaml").generate.name == "replay"


def test_messages_name_the_command_that_the_user_has(
    request: pytest.FixtureRequest,
) -> None:
    assert places.command("download") == "python -m scripts.download"
    request.getfixturevalue("package")
    assert places.command("download") == "latentsync download"
    assert places.command("inference") == "latentsync"
