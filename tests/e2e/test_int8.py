"""Graphs in 8-bit integers are made with faces of one's own videos, then used, and reported."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from latentsync.commands import cache as command
from latentsync.commands.console import DONE, USER_ERROR
from tests.support.media_factory import make_video

RESTORER = "tests.support.int8_restorer:load"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    return make_video(tmp_path / "in.mp4", demo_frames)


def quantize(*arguments: object) -> int:
    return command.main(["quantize", "--superres", RESTORER, *map(str, arguments)])


def test_a_restorer_runs_in_int8_when_its_graphs_were_made(video, tmp_path, run, capsys) -> None:
    words = "--superres", RESTORER, "restore.when=always", "runtime.precision=int8"
    target = tmp_path / "out.mp4"
    refused = run("-i", video, "-o", target, *words)
    assert refused.code == USER_ERROR and not target.exists()
    assert "is not there in int8 yet; make it" in refused.err.splitlines()[-1]

    sheet = tmp_path / "sheet.png"
    assert quantize("--input", video, "--sheet", sheet) == DONE
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("whole: ") and "dB from float32 on 2 pictures" in said[0]
    assert said[1].startswith("they are of the same video: name several")
    assert cv2.imread(str(sheet)).shape == (2 * 512, 4 * 512, 3)

    assert run("-i", video, "-o", target, *words).code == DONE
    report = json.loads((tmp_path / "out.report.json").read_text())
    note = report["execution"]["int8"]["whole"]
    assert (note["examples"], note["checked"]) == (10, 2) and note["psnr"] >= note["worst"] > 30

    plain = tmp_path / "plain.mp4"
    assert run("-i", video, "-o", plain, *words[:3]).code == DONE
    report = json.loads((tmp_path / "plain.report.json").read_text())
    assert report["execution"]["int8"] == {}
    assert plain.read_bytes() != target.read_bytes()


def test_results_are_compared_on_faces_of_the_last_video(video, capsys) -> None:
    assert quantize("--input", video, video) == DONE
    said = capsys.readouterr().out
    assert "on 8 pictures" in said and "same video" not in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--input", "nope.mp4"], "nope.mp4"),
        (["--input", "VIDEO", "--sheet", "sheet.jpg"], "name a file that ends in .png"),
        (["--input", "VIDEO", "--sheet", "VIDEO.png"], "already exists"),
        (["--input", "VIDEO", "--superres", "Detail"], "only GFPGAN runs in int8"),
        (["--input", "VIDEO", "runtime.backend=torch"], "PyTorch on cpu supports bf16, fp32"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(video, capsys, arguments, complaint) -> None:
    video.with_name("in.mp4.png").touch()
    given = [word.replace("VIDEO", str(video)) for word in arguments]
    assert quantize(*given) == USER_ERROR
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: ") and complaint in said[-1]
