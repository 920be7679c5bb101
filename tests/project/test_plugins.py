"""A plug-in is found by its short name in any case, or by package.module:attribute."""

import pytest

from latentsync.errors import UnknownPluginError
from latentsync.plugins import find_plugin, sources

TABLE = {"Json": "json:loads"}


@pytest.mark.parametrize("name", ["Json", "json", "JSON", "json:loads"])
def test_it_is_found(name):
    assert find_plugin("reader", name, TABLE)("[1]") == [1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Jsn", "unknown reader: Jsn; use one of Json"),
        ("no_such_module:load", "no module no_such_module"),
        ("json.missing:load", "no module json.missing"),
        ("json:nothing", "module json has no nothing"),
        (":", "unknown reader"),
    ],
)
def test_a_missing_plugin_is_reported_in_one_line(name, said):
    with pytest.raises(UnknownPluginError) as caught:
        find_plugin("reader", name, TABLE)
    assert said in str(caught.value)


def test_a_plugin_whose_own_import_fails_is_not_called_unknown(tmp_path, monkeypatch):
    (tmp_path / "broken_plugin.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_nobody_has"):
        find_plugin("reader", "broken_plugin:load", TABLE)


def test_a_file_in_the_current_folder_is_found_by_any_command(tmp_path, monkeypatch):
    (tmp_path / "plug_in_of_a_test.py").write_text("def load():\n    return 42\n")
    with pytest.raises(UnknownPluginError, match=r"no plug_in_of_a_test\.py in the current folder"):
        find_plugin("reader", "plug_in_of_a_test:load", TABLE)
    monkeypatch.chdir(tmp_path)
    assert find_plugin("reader", "plug_in_of_a_test:load", TABLE)() == 42


def test_the_sources_of_a_plug_in_are_its_module_and_what_is_beside_it_in_its_package(
    tmp_path, monkeypatch
):
    package = tmp_path / "a_package"
    package.mkdir()
    for path in (tmp_path / "plug_in_here.py", package / "__init__.py", package / "part.py"):
        path.write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert sources("plug_in_here:load") == [tmp_path / "plug_in_here.py"]
    assert sources("a_package.part:load") == [package / "__init__.py", package / "part.py"]
    assert sources("Json") == sources(None) == sources("sys:exit") == sources("gone.at:all") == []
