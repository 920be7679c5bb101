"""A failed download is reported once for each source, and leaves nothing behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.errors import CheckpointError
from latentsync.weights.ensure import no_byte_progress
from latentsync.weights.fetch import fetch_all
from latentsync.weights.manifest import GFPGAN
from latentsync.weights.model_file import ModelFile, ReleaseFile
from tests.support.fetching import BODY, SHA256, SIZE
from tests.support.loopback import Loopback, Served


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched weights are put; it does not exist yet."""
    monkeypatch.setenv("LATENTSYNC_CHECKPOINTS", str(tmp_path / "deep" / "weights"))
    return tmp_path / "deep"


def fetch(model: ModelFile) -> Path:
    return fetch_all([model], no_byte_progress)[0]


def model(*urls: str) -> ModelFile:
    return replace(GFPGAN, sources=tuple(map(ReleaseFile, urls)), bytes=SIZE, sha256=SHA256)


@pytest.mark.parametrize("count", [1, 2])
def test_each_source_s_failure_is_reported_once(server, folder, caplog, count: int) -> None:
    caplog.set_level(logging.INFO, "latentsync")
    urls = [f"{server.address}/missing-{number}.pth" for number in range(count)]
    with pytest.raises(CheckpointError) as error:
        fetch(model(*urls))
    shown = " ".join([*(record.getMessage() for record in caplog.records), str(error.value)])
    assert [shown.count(url) for url in urls] == [1] * count
    assert shown.count("HTTP 404") == count
    assert "by hand" in shown and "\n" not in shown


def test_a_failed_download_leaves_no_folder(server, folder) -> None:
    with pytest.raises(CheckpointError):
        fetch(model(f"{server.address}/missing.pth"))
    assert not folder.exists()


def test_a_folder_that_was_there_stays(server, folder) -> None:
    folder.mkdir()
    with pytest.raises(CheckpointError):
        fetch(model(f"{server.address}/missing.pth"))
    assert list(folder.iterdir()) == []


def test_the_second_source_gives_what_the_first_has_not(server, folder, caplog) -> None:
    caplog.set_level(logging.INFO, "latentsync")
    there = server.add("/net.pth", Served(BODY))
    path = fetch(model(f"{server.address}/missing.pth", there))
    assert path.read_bytes() == BODY
    assert [r.getMessage() for r in caplog.records] == [f"{GFPGAN.key}: trying source 2"]
