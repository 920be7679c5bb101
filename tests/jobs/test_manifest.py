"""Lists of jobs in every form give the same jobs; all problems are told at once, with lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.errors import ConfigError
from latentsync.jobs.entries import folder_entries, read_entries
from latentsync.jobs.manifest import ManifestError, planned_jobs

OURS = """\
defaults: {restore: {when: always}}
jobs:
  - video: "a b.mp4"
    audio: speech.wav
    output: out/a.mp4
    priority: 2
    settings: {restore.name: none, output: {crf: 20}}
  - {video: ü.mp4, output: out/b.mp4, speaker: left}
"""
TABLE = """\
video,audio,output,priority,speaker,restore.when,restore.name,output.crf
a b.mp4,speech.wav,out/a.mp4,2,,always,none,20

ü.mp4,,out/b.mp4,,left,always,,
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a b.mp4", "ü.mp4", "speech.wav"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs_of(folder: Path, name: str, text: str, **more):
    path = folder / name
    path.write_text(text, "utf-8")
    return planned_jobs(name, read_entries(path, more.pop("output_folder", None)), **more)


@pytest.mark.parametrize(("name", "text"), [("jobs.yaml", OURS), ("jobs.csv", TABLE)])
def test_a_list_gives_its_jobs(folder: Path, name: str, text: str) -> None:
    first, second = jobs_of(folder, name, text)
    assert first.config.input.video == str(folder / "a b.mp4")
    assert first.config.input.audio == str(folder / "speech.wav")
    assert first.output == folder / "out/a.mp4" and first.priority == 2
    assert (first.config.restore.name, first.config.output.crf) == ("none", 20)
    assert first.config.restore.when == second.config.restore.when == "always"
    assert second.config.face.speaker == "left" and second.config.input.audio is None


def test_the_command_line_is_above_the_entry(folder: Path) -> None:
    first, _ = jobs_of(folder, "jobs.yaml", OURS, overrides=["output.crf=30"])
    assert first.config.output.crf == 30
    first, _ = jobs_of(folder, "jobs.yaml", OURS, flags={"output.crf": 31})
    assert first.config.output.crf == 31


def test_musetalk_s_tasks_are_taken(folder: Path) -> None:
    text = 'task_0:\n video_path: "a b.mp4"\n audio_path: speech.wav\n'
    text += " bbox_shift: -7\n extra_margin: 5\n"
    text += "task_1:\n video_path: ü.mp4\n audio_path: speech.wav\n result_name: r.mp4\n"
    one, two = jobs_of(folder, "t.yaml", text, output_folder=Path("results"))
    assert one.output == folder / "results/a b_speech.mp4" and one.name == "task_0"
    assert two.output == folder / "results/r.mp4"
    own = one.config.generate.musetalk
    assert (own.bbox_shift, own.extra_margin, own.left_cheek_width) == (-7, 5, 90)
    assert two.config.generate.musetalk.bbox_shift == 0


def test_a_folder_pairs_speech_by_name(folder: Path) -> None:
    (folder / "ü.wav").write_bytes(b"x")
    videos = [folder / "a b.mp4", folder / "ü.mp4"]
    one, two = planned_jobs("folder", folder_entries(folder, videos, folder / "out"))
    assert one.config.input.audio is None
    assert two.config.input.audio == str(folder / "ü.wav")


def test_all_problems_are_told_at_once_with_their_lines(folder: Path) -> None:
    text = """\
- {video: a b.mp4, output: out/a.mp4}
- {video: missing.mp4, output: out/b.mp4}
- {video: ü.mp4, output: elsewhere/../out/A.mp4}
- {video: ü.mp4, audio: none.wav, output: out/c.mp4}
- {video: ü.mp4, output: out/d.mp4, settings: {restore.when: perhaps}}
- {vidoe: ü.mp4, output: out/e.mp4}
- {video: a b.mp4, output: ü.mp4}
- just text
"""
    with pytest.raises(ManifestError) as caught:
        jobs_of(folder, "jobs.yaml", text)
    lines = sorted(one.split(":")[0] for one in caught.value.problems)
    assert lines == [f"jobs.yaml line {n}" for n in (2, 3, 4, 5, 6, 7, 7, 8)]
    for words in ("missing.mp4", "none.wav", "perhaps", "vidoe", "an input of jobs.yaml line 3"):
        assert words in str(caught.value)


def test_an_evaluation_replaces_no_file_of_another_kind(folder: Path) -> None:
    text = "- {video: a b.mp4, output: a.mp4, settings: {output.evaluate: true}}\n"
    assert jobs_of(folder, "jobs.yaml", text)[0].config.output.evaluate
    (folder / "a.evaluation.json").write_text("{}")
    with pytest.raises(ManifestError, match="not an evaluation, so not replaced by one"):
        jobs_of(folder, "jobs.yaml", text)


def test_an_output_of_an_earlier_run_may_be_there(folder: Path) -> None:
    (folder / "done.mp4").write_bytes(b"x")
    text = "- {video: a b.mp4, output: done.mp4}\n"
    with pytest.raises(ManifestError, match="exists"):
        jobs_of(folder, "jobs.yaml", text)
    assert jobs_of(folder, "jobs.yaml", text, known=lambda _job: True)


@pytest.mark.parametrize("text", ["", "jobs: []", "a: 1", "jobs: [\n", "x: {jobs: 1}"])
def test_what_is_no_list_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="jobs"):
        jobs_of(folder, "jobs.yaml", text)
