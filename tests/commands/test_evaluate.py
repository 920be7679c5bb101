"""The evaluate command: which files it takes, what it writes, and how it ends."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latentsync.commands import evaluate, judging
from latentsync.errors import FaceNotFoundError
from latentsync.evaluate.figures import FIGURES
from latentsync.evaluate.judge import Case, Judgement
from latentsync.evaluate.networks import Judges
from latentsync.evaluate.page import write
from tests.evaluate.made_up import SOFTNESS, evaluated, measured, report, video

SOFT = {"one.mp4": 0.5, "two.mp4": 1.5}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The cases that were judged: by their names, in no time. A name with "faceless" fails."""
    cases: list[Case] = []

    def judge(_engine: object, case: Case, **_: object) -> Judgement:
        cases.append(case)
        if "faceless" in case.result.name:
            raise FaceNotFoundError("no face in the video", case.result, "name another")
        found = [measured("softness", SOFT.get(case.result.name, 1.0))]
        return Judgement(evaluated(*found, about={"result": video(str(case.result))}), found)

    engine = SimpleNamespace(execution=None)
    monkeypatch.setattr(judging, "judge", judge)
    monkeypatch.setattr(judging, "evaluation_engine", lambda config: engine)
    monkeypatch.setattr(judging, "load_judges", lambda config: Judges())
    monkeypatch.setattr(judging, "use_threads", lambda count: None)
    monkeypatch.setattr(judging, "torch_threads", lambda execution, networks: 1)
    for name in list(FIGURES):
        monkeypatch.delitem(FIGURES, name)
    monkeypatch.setitem(FIGURES, "softness", SOFTNESS)
    return cases


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """By name, what was written as a page."""
    written: dict[str, Any] = {}
    for module, name in ((write, "write_page"), (judging, "write_index")):
        monkeypatch.setattr(
            module, name, lambda *given, **_: written.update({given[-1].name: given[0]})
        )
    monkeypatch.setattr(write, "chosen_moments", lambda evaluation: [])
    monkeypatch.setattr(write, "read_shots", lambda *given, **named: [])
    return written


def videos(folder: Path, *names: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"video")
    return [str(folder / name) for name in names]


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def run(*words: str | Path) -> int:
    return evaluate.main([*map(str, words), "--quiet"])


def test_one_result_gets_an_evaluation_beside_it_and_a_verdict_in_words(
    tmp_path: Path, judged: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = videos(tmp_path, "one.mp4")
    assert run(one, "--audio", one, "--source", one) == 0
    assert judged == [Case(Path(one), Path(one), Path(one), None)]
    assert read(tmp_path / "one.evaluation.json")["figures"]["softness"]["grade"] == "good"
    said = capsys.readouterr().out
    assert said.startswith("Sync unknown; mouth good")
    assert "Softness of the mouth  0.5 px" in said


@pytest.mark.parametrize("flag", ["--video_path", "--videos-dir"])
def test_the_original_s_flags_name_results_too(
    flag: str, tmp_path: Path, judged: list[Case]
) -> None:
    (one,) = videos(tmp_path, "one.mp4")
    assert run(flag, one if flag == "--video_path" else tmp_path) == 0
    assert [case.result for case in judged] == [Path(one)]


def test_two_results_are_compared_each_from_its_own_side(
    tmp_path: Path, judged: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*videos(tmp_path, "one.mp4", "two.mp4")) == 0
    one, two = (read(tmp_path / f"{name}.evaluation.json") for name in ("one", "two"))
    assert one["comparison"]["softness"]["better"] == "one"
    assert two["comparison"]["softness"]["better"] == "other"
    assert two["other"]["path"] == str(tmp_path / "one.mp4")
    assert capsys.readouterr().out.startswith("one.mp4 is better: in 1 figure")


def test_a_folder_is_evaluated_without_its_failures_which_are_named(
    tmp_path: Path, judged: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    videos(tmp_path, "faceless.mp4", "one.mp4", "one_compare.mp4", "two.mp4", "picture.png")
    assert run(tmp_path, "--csv", tmp_path / "all.csv") == 2
    done = [case.result.name for case in judged]
    assert done == ["faceless.mp4", "one.mp4", "two.mp4"]
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["video"].split("/")[-1] for row in rows] == ["one.mp4", "two.mp4", "average"]
    assert [round(float(row["softness"]), 2) for row in rows] == [0.5, 1.5, 1.0]
    said = capsys.readouterr()
    assert said.err.count("error: 1/3 faceless.mp4: no face in the video") == 1
    assert "Softness of the mouth  1 px  of 2 videos" in said.out
    assert "\n2 of 3 videos evaluated\n" in said.out


def test_a_folder_gets_a_page_of_all_with_the_failures(
    tmp_path: Path, judged: list[Case], pages: dict[str, Any]
) -> None:
    videos(tmp_path, "faceless.mp4", "one.mp4")
    assert run(tmp_path, "--html") == 2
    assert set(pages) == {"one.evaluation.html", "evaluations.html"}
    failed, done = pages["evaluations.html"]
    assert failed.evaluation is None and "no face" in failed.error
    assert (done.name, done.page) == ("one.mp4", "one.evaluation.html")


@pytest.mark.parametrize("name", ["one.evaluation.json", "one.evaluation.html", "table.csv"])
def test_a_file_of_another_kind_is_never_replaced(
    name: str, tmp_path: Path, judged: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = videos(tmp_path, "one.mp4")
    (tmp_path / name).write_text('{"kind": "diary"}', "utf-8")
    assert run(one, "--html", "--csv", tmp_path / "table.csv") == 2
    assert not judged and (tmp_path / name).read_text("utf-8") == '{"kind": "diary"}'
    error = capsys.readouterr().err
    assert "so not replaced by one" in error and error.count("\n") == 1


def test_an_evaluation_and_a_table_are_replaced_by_newer_ones(
    tmp_path: Path, judged: list[Case]
) -> None:
    (one,) = videos(tmp_path, "one.mp4")
    for _ in range(2):
        assert run(one, "--csv", tmp_path / "table.csv") == 0
    assert len(judged) == 2


def test_the_source_that_the_job_s_report_names_is_used(tmp_path: Path, judged: list[Case]) -> None:
    one, source = videos(tmp_path, "one.mp4", "source.mp4")
    made = {**report(), "input": {"path": source}, "output": {"path": "elsewhere/one.mp4"}}
    (tmp_path / "one.report.json").write_text(json.dumps(made), "utf-8")
    assert run(one) == 0
    assert judged[0].source == Path(source) and judged[0].report == made
    Path(source).unlink()
    assert run(one) == 0
    assert judged[1].source is None and judged[1].report == made


def test_a_folder_of_sources_gives_each_result_the_one_of_its_name(
    tmp_path: Path, judged: list[Case]
) -> None:
    videos(tmp_path / "results", "one.mp4", "two.mp4", "three.mp4")
    sources = videos(tmp_path / "sources", "one.mov", "two.mp4")
    assert run(tmp_path / "results", "--source", tmp_path / "sources") == 0
    found = {case.result.stem: case.source for case in judged}
    assert found == {"one": Path(sources[0]), "two": Path(sources[1]), "three": None}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["picture.png"], "a picture cannot be evaluated"),
        (["one.mp4", "one.mkv"], "two results would get the same evaluation"),
        (["one.mp4", "two.mp4", "--json", "x.json"], "--json is for one result"),
        (["one.mp4", "--source", "sources"], "no source of one.mp4 in the folder"),
        (["empty"], "no videos in the folder"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_before_any_work(
    words: list[str],
    said: str,
    tmp_path: Path,
    judged: list[Case],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    videos(tmp_path, "one.mp4", "one.mkv", "two.mp4", "picture.png")
    videos(tmp_path / "sources", "other.mp4")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not judged
