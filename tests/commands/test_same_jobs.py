"""The same list again: what is done stays, what changed is made again, nothing is made twice."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from latentsync.commands import jobs, run_jobs, workers
from latentsync.commands.resume import resumed
from latentsync.jobs.entries import read_entries
from latentsync.jobs.manifest import planned_jobs
from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import DONE, FAILED, WAITING
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of, kept_seed
from latentsync.settings.load import load_config

SPOKEN = "- {video: a.mp4, audio: a.wav, output: b.mp4}\n"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is worked on."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "a.wav"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.yaml").write_text(SPOKEN)
    monkeypatch.setattr(run_jobs, "_fetch_weights", lambda *_args: None)
    monkeypatch.setattr(workers, "work_on", lambda *_args, **_more: True)
    return tmp_path / "state"


def batch(state: Path, *words: str) -> int:
    return run_jobs.main([*(words or ["list.yaml"]), "--state_dir", str(state)])


def listed(state: Path):
    return open_store(JobFiles(state)).jobs()


def finish(state: Path, number: str, how: str = DONE) -> None:
    store = open_store(JobFiles(state))
    job = store.job(number)
    store.end(job.id, how, None)
    if how == DONE:
        Path(job.output).write_bytes(b"made")


def test_it_is_the_same_job_from_any_folder(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch(state)
    (state.parent / "sub").mkdir()
    Path("sub/list.yaml").write_text(SPOKEN.replace("a.", "../a.").replace("b.", "../b."))
    monkeypatch.chdir("sub")
    batch(state, "list.yaml")
    (job,) = listed(state)
    assert job.config["input"]["video"] == str(state.parent / "a.mp4")


def test_what_is_done_is_made_again_only_where_an_input_is_newer(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch(state)
    finish(state, "1")
    assert batch(state) == 0
    assert "1 of 1 jobs were done before" in capsys.readouterr().out
    later = listed(state)[0].created + 10
    os.utime("a.wav", (later, later))
    assert batch(state) == 2
    assert "already exists" in capsys.readouterr().err
    batch(state, "list.yaml", "--overwrite")
    assert [job.state for job in listed(state)] == [DONE, WAITING]


def test_two_commands_at_once_share_one_job(state: Path) -> None:
    start = threading.Barrier(3)
    (planned,) = planned_jobs("list", read_entries(Path("list.yaml")))
    found = []

    def add() -> None:
        store = open_store(JobFiles(state))
        start.wait()
        found.append(run_jobs._job_for(planned, None, store, 1).id)

    threads = [threading.Thread(target=add) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 3 and len(set(found)) == 1 and len(listed(state)) == 1


def test_a_retry_whose_output_is_taken_is_one_line(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch(state)
    finish(state, "1", FAILED)
    batch(state, "list.yaml", "generate.steps=10")
    capsys.readouterr()
    assert jobs.main(["retry", "1", "--state_dir", str(state)]) == 2
    assert "another job that is not finished has this output" in capsys.readouterr().err


def test_cleaning_leaves_the_segments_of_a_job_that_goes_on(state: Path) -> None:
    batch(state)
    finish(state, "1", FAILED)
    batch(state, "list.yaml", "generate.steps=10")
    folder = folder_of(Path("b.mp4").absolute())
    folder.mkdir()
    (folder / "job.json").write_text("{}")
    assert jobs.main(["clean", "--yes", "--state_dir", str(state)]) == 0
    assert (folder / "job.json").exists() and len(listed(state)) == 1


def test_a_new_seed_is_drawn_once_and_kept_with_the_job(state: Path) -> None:
    batch(state, "list.yaml", "generate.seed=-1")
    batch(state, "list.yaml", "generate.seed=-1")
    (job,) = listed(state)
    assert job.config["generate"]["seed"] >= 0


def test_a_new_seed_is_kept_with_the_segments() -> None:
    target = Path("/nowhere/out.mp4")
    config = load_config(None, ["generate.seed=-1"], flags={"output.path": str(target)})
    one, other = resumed([config, config])
    assert one.generate.seed == other.generate.seed >= 0
    assert resumed([config])[0].generate.seed != one.generate.seed


def test_segments_go_on_with_their_seed(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    folder = SegmentFolder(folder_of(target), {"seed": "77"})
    folder.path.mkdir()
    folder._about = {"format": "latentsync segments 1", "identity": {"seed": "77"}}
    folder._write_json("job.json", folder._about)
    config = load_config(None, ["generate.seed=-1"], flags={"output.path": str(target)})
    assert kept_seed(folder.path) == 77
    assert resumed([config])[0].generate.seed == 77
    fixed = load_config(None, ["generate.seed=5"], flags={"output.path": str(target)})
    assert resumed([fixed])[0].generate.seed == 5


def test_a_state_folder_that_cannot_be_written_is_one_line(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.write_bytes(b"a file")
    assert batch(state) == 2
    assert "cannot use the store of jobs" in capsys.readouterr().err.splitlines()[-1]
