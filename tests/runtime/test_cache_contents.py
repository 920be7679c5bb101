"""What the cache of converted networks can do without, and what it keeps."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from latentsync.runtime import cache
from latentsync.runtime.cache_contents import DAY, contents, remove, unneeded

NOW = {"version": "2", "openvino": "26.4", "torch": "2.13"}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path))


def converted(network: str = "GFPGAN", *, days: float = 0, size: int = 1000, **key: str) -> Path:
    """The folder of a network that was used so many days ago."""
    wanted = {"network": network, "part": "whole", "inputs": "a", "sources": "s"} | NOW | key

    def save(_graph: str, path: Path) -> None:
        path.write_text("graph")
        path.with_suffix(".bin").write_bytes(bytes(size))

    path = cache.kept(wanted, lambda: "graph", save)
    assert isinstance(path, Path)
    for file in path.parent.iterdir():
        os.utime(file, (time.time() - days * DAY,) * 2)
    return path.parent


def test_an_empty_cache_holds_nothing() -> None:
    assert contents() == []
    assert unneeded([], NOW, unused_days=1, most_bytes=0) == {}


def test_a_network_has_its_name_its_size_and_its_last_use() -> None:
    older, newer = converted("VAE", days=3), converted(days=1, size=5000)
    found = contents()
    assert [one.folder for one in found] == [newer, older]
    assert [str(one) for one in found] == ["GFPGAN, whole", "VAE, whole"]
    assert 5000 < found[0].size < 6000
    assert (time.time() - found[1].used) / DAY == pytest.approx(3, abs=0.1)


def test_to_load_a_network_is_to_use_it() -> None:
    home = converted(days=40)
    key = dict(contents()[0].key)
    cache.kept(key, lambda: "graph", lambda *_: None)
    assert contents()[0].folder == home
    assert time.time() - contents()[0].used < 60


@pytest.mark.parametrize("name", NOW)
def test_what_another_version_converted_can_go(name: str) -> None:
    good, old = converted(), converted("VAE", **{name: "1"})
    assert list(unneeded(contents(), NOW)) == [old]
    assert good.is_dir()


def test_what_is_not_complete_can_go() -> None:
    damaged = converted()
    (damaged / cache.ABOUT).write_text("{")
    left = damaged.with_name("left.part")
    left.mkdir()
    assert set(unneeded(contents(), NOW)) == {damaged, left}


def test_of_a_network_whose_code_has_changed_the_latest_stays() -> None:
    before, after = converted(days=2), converted(days=1, sources="changed")
    other = converted(days=3, inputs="of another shape")
    assert list(unneeded(contents(), NOW)) == [before]
    assert after.is_dir()
    assert other.is_dir()


def test_what_was_not_used_for_long_can_go_if_that_is_asked_for() -> None:
    old, _ = converted(days=31), converted("VAE", days=29)
    assert unneeded(contents(), NOW) == {}
    assert list(unneeded(contents(), NOW, unused_days=30)) == [old]


def test_the_ones_used_last_stay_within_the_size() -> None:
    _, second, third = (converted(str(days), days=days, size=10_000) for days in range(3))
    assert set(unneeded(contents(), NOW, most_bytes=15_000)) == {second, third}
    assert len(unneeded(contents(), NOW, most_bytes=0)) == 3
    assert unneeded(contents(), NOW, most_bytes=40_000) == {}


def test_what_is_removed_is_gone_and_nothing_else() -> None:
    stays, goes = converted(), converted("VAE")
    remove([goes, goes.with_suffix(".part")])  # of a conversion that was completed meanwhile
    assert [one.folder for one in contents()] == [stays]
    json.loads((stays / cache.ABOUT).read_text())


def test_a_network_that_is_being_converted_stays(caplog: pytest.LogCaptureFixture) -> None:
    home = converted()
    with FileLock(home.with_suffix(".lock")), caplog.at_level(logging.WARNING):
        remove([home])
    assert home.is_dir()
    assert "is being converted" in caplog.text
