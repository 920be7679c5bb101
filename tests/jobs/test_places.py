"""The store is made again from the folders of its jobs where it is damaged."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import DONE, FAILED, WAITING


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    """Three jobs: done, failed, waiting."""
    made = JobFiles(tmp_path / "jobs")
    store = open_store(made)
    for name in ("a", "b", "c"):
        made.write(store.add(f"id-{name}", name, f"{name}.mp4", {"input": name}, priority=1))
    made.set_state("id-a", DONE)
    made.set_state("id-b", FAILED, "no face")
    store.close()
    return made


@pytest.mark.parametrize("damage", ["no database at all", "a page is overwritten", "cut off"])
def test_a_damaged_store_is_put_aside_and_made_again(
    files: JobFiles, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(files.store.read_bytes())
    if damage.startswith("no"):
        content = bytearray(b"x" * 5000)
    elif damage.startswith("a page"):
        content[4096:8192] = b"\xff" * 4096
    else:
        content = content[: len(content) // 2]
    for path in files.root.glob("jobs.sqlite*"):
        path.unlink()
    files.store.write_bytes(bytes(content))
    with caplog.at_level(logging.WARNING):
        store = open_store(files)
    found = {job.id: (job.state, job.error, job.name) for job in store.jobs()}
    assert found == {
        "id-a": (DONE, None, "a"),
        "id-b": (FAILED, "no face", "b"),
        "id-c": (WAITING, None, "c"),
    }
    assert "was damaged" in caplog.text
    assert len(list(files.root.glob("jobs.damaged-*.sqlite"))) == 1
    assert store.lease("one") is not None


def test_a_sound_store_stays(files: JobFiles, caplog: pytest.LogCaptureFixture) -> None:
    assert len(open_store(files).jobs()) == 3
    assert not caplog.text


def test_what_is_logged_while_a_job_is_worked_on_is_in_its_log(files: JobFiles) -> None:
    logger = logging.getLogger("latentsync.test")
    with files.log("id-a"):
        logger.warning("the mouth is too small")
    logger.warning("of another job")
    text = (files.folder("id-a") / "log.txt").read_text()
    assert "the mouth is too small" in text and "of another job" not in text


def test_cleaning_leaves_what_somebody_else_has_put_there(files: JobFiles) -> None:
    (files.folder("id-a") / "mine.txt").write_text("x")
    for name in ("id-a", "id-b"):
        files.remove(name)
    assert (files.folder("id-a") / "mine.txt").exists()
    assert not files.folder("id-b").exists()
