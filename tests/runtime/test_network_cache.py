"""A graph is kept once it is whole, and taken only as long as it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from latentsync.runtime import cache

KEY = {"network": "net", "part": "whole", "checkpoint": "ab12"}


class Workshop:
    """Makes a graph, counts how often, and saves it as the two files that a graph has."""

    def __init__(self) -> None:
        self.made = 0

    def make(self) -> str:
        self.made += 1
        return f"graph {self.made}"

    def save(self, graph: str, path: Path) -> None:
        path.write_text(graph)
        path.with_suffix(".bin").write_bytes(bytes(1000))

    def get(self, key: dict[str, str] = KEY) -> Path | str:
        return cache.kept(key, self.make, self.save)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path))
    return Workshop()


def kept_in(shop: Workshop) -> Path:
    path = shop.get()
    assert isinstance(path, Path)
    return path


def test_it_is_made_once(shop: Workshop, tmp_path: Path) -> None:
    path = kept_in(shop)
    assert path.is_relative_to(tmp_path / "openvino")
    assert path.read_text() == "graph 1"
    assert Workshop().get() == path
    assert (shop.get(), shop.made) == (path, 1)


@pytest.mark.parametrize("changed", KEY)
def test_another_key_is_another_graph(shop: Workshop, changed: str) -> None:
    assert kept_in(shop) != shop.get(KEY | {changed: "other"})
    assert shop.made == 2


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [shorten, flip_a_bit, Path.unlink])
@pytest.mark.parametrize("name", [*cache.FILES, cache.ABOUT])
def test_a_damaged_graph_is_converted_again_with_one_warning(
    shop: Workshop, caplog: pytest.LogCaptureFixture, damage: Callable, name: str
) -> None:
    damage(kept_in(shop).with_name(name))
    assert kept_in(shop).read_text() == "graph 2"
    assert len(caplog.records) == 1
    assert "it has to be converted again" in caplog.text


def test_what_a_killed_process_left_is_not_taken(shop: Workshop) -> None:
    path = kept_in(shop)
    path.parent.rename(path.parent.with_suffix(".part"))
    (path.parent.with_suffix(".part") / cache.ABOUT).unlink()
    assert kept_in(shop).read_text() == "graph 2"
    assert not path.parent.with_suffix(".part").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("full")])
def test_a_graph_is_used_even_if_the_disk_is_full(
    shop: Workshop, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(graph: str, path: Path) -> None:
        shop.save(graph, path)
        raise error

    assert cache.kept(KEY, shop.make, fail) == "graph 1"
    assert "the graph is not cached" in caplog.text
    assert [path.suffix for path in (tmp_path / "openvino").iterdir()] == [".lock"]


def test_a_graph_is_used_even_if_the_folder_cannot_be_made(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path / "file"))
    assert shop.get() == "graph 1"
    assert "graphs are not cached" in caplog.text


def test_a_failure_while_making_it_is_passed_on_and_leaves_nothing(
    shop: Workshop, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        cache.kept(KEY, lambda: 1 // 0, lambda *_: None)
    assert kept_in(shop).read_text() == "graph 1"


AT_ONCE = """
import sys, time
from pathlib import Path
from latentsync.runtime import cache

def make():
    print("made", flush=True)
    time.sleep(0.5)

def save(_graph, path):
    path.touch()
    path.with_suffix(".bin").touch()

print(cache.kept({"key": "same"}, make, save))
"""


def test_of_two_processes_one_makes_it_and_both_have_it(shop: Workshop) -> None:
    run = [sys.executable, "-c", AT_ONCE]
    both = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[0].split() for process in both]
    assert sorted(map(len, told)) == [1, 2]
    assert told[0][-1] == told[1][-1]


def test_the_folder_is_the_user_s_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTSYNC_CACHE", "/some/where")
    assert cache.folder() == Path("/some/where/openvino")
    monkeypatch.delenv("LATENTSYNC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache.folder() == Path("/cache/latentsync/openvino")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache/latentsync/openvino"
