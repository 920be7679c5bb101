"""Calls without work answer at once: torch, which takes seconds, is not imported."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import latentsync
from latentsync.commands import installed

ROOT = Path(__file__).parents[2]
DEMO = "assets/demo_lipsynced.mp4"
OTHER = "assets/demo_talking.mp4"
HEAVY = {"torch", "openvino", "diffusers", "huggingface_hub"}
RUNNER = """
import contextlib, io, json, sys
from latentsync.commands.installed import main
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = stop.code or 0
    print(json.dumps([code, out.getvalue(), sorted({name.split(".")[0] for name in sys.modules})]))
"""
ANSWERS: list[tuple[list[str], int, str]] = [
    (["--version"], 0, f"latentsync {latentsync.__version__}"),
    (["download", "--version"], 0, f"latentsync {latentsync.__version__}"),
    (["provenance", "--help"], 0, "make-cert"),
    (["cache", "--help"], 0, "prune"),
    (["evaluate", "--help"], 0, "--source"),
    (["evaluate"], 2, "name a video, or a folder of videos"),
    (["evaluate", "none.mp4"], 2, "cannot open the video: none.mp4"),
    (["evaluate", DEMO, "--source", "none.mp4"], 2, "cannot open the video: none.mp4"),
    (["evaluate", DEMO, "--json", "README.md"], 2, "not an evaluation, so not replaced"),
    (["--help"], 0, "--superres"),
    (["--no_such_flag"], 2, "unknown flag --no_such_flag"),
    (["--config", "none.yaml"], 2, "none.yaml"),
    (["restore.nmae=GFPGAN"], 2, "did you mean restore.name?"),
    ([], 2, "pass --input VIDEO"),
    (["--input", "none.mp4"], 2, "pass --output VIDEO"),
    (["--input", "none.mp4", "--output", "out.mp4"], 2, "cannot open the video: none.mp4"),
    (["--input", "none.mp4", "b.mp4", "--output", "o/"], 2, "cannot open the video: none.mp4"),
    (["--input", "a.mp4", "b.mp4"], 2, "pass --output FOLDER/"),
    (["--input", "a.mp4", "b.mp4", "--output", "o.mp4"], 2, "need a folder"),
    (["--input", DEMO, DEMO, "--output", "o/"], 2, "the same output name"),
    (["--input", DEMO, "--output", OTHER], 2, "--overwrite"),
    (["--preview", "0"], 2, "--preview: 0"),
]


@pytest.fixture(scope="module")
def answered() -> list[tuple[int, str, list[str]]]:
    """Exit code, output and the packages imported by then: of each call, in one process that has
    imported nothing before."""
    calls = json.dumps([arguments for arguments, _, _ in ANSWERS])
    line = [sys.executable, "-c", RUNNER, calls]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    return [json.loads(one) for one in done.stdout.splitlines()]


@pytest.mark.parametrize("place", range(len(ANSWERS)), ids=[" ".join(a) for a, _, _ in ANSWERS])
def test_an_answer_without_work_imports_nothing_heavy(
    place: int, answered: list[tuple[int, str, list[str]]]
) -> None:
    _, code, said = ANSWERS[place]
    ended, shown, imported = answered[place]
    assert ended == code
    assert said in shown
    assert HEAVY.isdisjoint(imported)


def test_the_installed_command_hands_other_commands_their_own_flags(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[tuple[str, list[str]]] = []
    for name in ("download", "evaluate", "inference", "provenance"):
        monkeypatch.setattr(
            f"latentsync.commands.{name}.main",
            lambda arguments, name=name: given.append((name, arguments)) or 0,
        )
    installed.main(["download", "--list"])
    installed.main(["provenance", "show", "a.mp4"])
    installed.main(["evaluate", "a.mp4"])
    installed.main(["--input", "download"])
    assert given == [
        ("download", ["--list"]),
        ("provenance", ["show", "a.mp4"]),
        ("evaluate", ["a.mp4"]),
        ("inference", ["--input", "download"]),
    ]


@pytest.mark.parametrize("name", ["inference", "download", "evaluate", "provenance"])
def test_a_checkout_s_scripts_are_the_same_commands(name: str) -> None:
    script = importlib.import_module(f"scripts.{name}")
    assert script.main is importlib.import_module(f"latentsync.commands.{name}").main


def test_a_script_ends_with_the_exit_code_of_its_command() -> None:
    for line in (["-m", "scripts.inference"], ["-m", "scripts.download"], ["inference.py"]):
        done = subprocess.run(
            [sys.executable, *line, "--config", "none.yaml"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2
