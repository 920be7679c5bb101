"""scripts.batch and scripts.jobs: what cannot be run is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.commands import jobs, run_jobs
from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import CANCELLED, WAITING


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"x")
    return tmp_path / "state"


def batch(state: Path, *words: str) -> int:
    return run_jobs.main([*words, "--state_dir", str(state)])


def jobs_command(state: Path, *words: str) -> int:
    return jobs.main([*words, "--state_dir", str(state)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a list of jobs or --input_dir: neither"),
        (["list.yaml", "--input_dir", "."], "a list of jobs or --input_dir: both"),
        (["--input_dir", "."], "--output_dir: not given"),
        (["none.yaml"], "the list of jobs cannot be read: none.yaml"),
        (["list.yaml", "--workers", "0"], "--workers: 0"),
        (["list.yaml", "restore.when=perhaps"], "restore.when: perhaps"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(
    state: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    Path("list.yaml").write_text("- {video: a.mp4, output: b.mp4}\n")
    assert batch(state, *words) == 2
    assert said in capsys.readouterr().err
    assert not state.exists() or not open_store(JobFiles(state)).jobs()


def test_every_problem_of_a_list_has_its_line(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.yaml").write_text("- {video: none.mp4, output: b.mp4}\n- {video: a.mp4}\n")
    assert batch(state, "list.yaml") == 2
    error = capsys.readouterr().err
    assert "error: list.yaml line 1: " in error and "error: list.yaml line 2: " in error
    assert "2 problems; nothing was done" in error


def test_a_cluster_takes_no_int8_whose_graphs_differ_from_machine_to_machine(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each machine would find the work of the others made otherwise, and make it again."""
    video = Path(__file__).parents[2] / "assets" / "demo_lipsynced.mp4"
    jobs_file = tmp_path / "jobs.yaml"
    jobs_file.write_text(f"- {{video: {video}, output: {tmp_path / 'out.mp4'}}}\n")
    words = str(jobs_file), "--cluster", "auto", "runtime.precision=int8"
    assert batch(state, *words) == 2
    assert "int8; not with --cluster" in capsys.readouterr().err


@pytest.fixture
def kept(state: Path) -> Path:
    """A store with a waiting job."""
    files = JobFiles(state)
    store = open_store(files)
    config = {"input": {"video": "a.mp4", "audio": None}}
    files.write(store.add("abc", "a.mp4", "b.mp4", config))
    return state


def test_jobs_are_listed_shown_cancelled_and_tried_again(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jobs_command(kept, "list") == jobs_command(kept, "show", "1") == 0
    assert "a.mp4" in capsys.readouterr().out
    assert jobs_command(kept, "cancel", "1") == 0
    assert open_store(JobFiles(kept)).job("1").state == CANCELLED
    assert jobs_command(kept, "cancel", "1") == 2
    assert jobs_command(kept, "retry", "abc") == 0
    assert open_store(JobFiles(kept)).job("1").state == WAITING
    assert jobs_command(kept, "show", "7") == jobs_command(kept, "show") == 2


def test_cleaning_asks_and_touches_no_output(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("b.mp4").write_bytes(b"the result")
    jobs_command(kept, "cancel", "1")
    assert jobs_command(kept, "clean") == 0
    assert "nothing was removed" in capsys.readouterr().out
    assert jobs_command(kept, "clean", "--yes") == 0
    assert not open_store(JobFiles(kept)).jobs() and not (kept / "abc").exists()
    assert Path("b.mp4").read_bytes() == b"the result"


def test_without_a_store_there_are_no_jobs(state: Path) -> None:
    assert jobs_command(state, "list") == 0
    assert not state.exists()
