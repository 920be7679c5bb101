"""The benchmarks measure in turns, and print one table."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch
from torch import nn

from benchmarks import big_frames, restoration_quality, reuse
from benchmarks.__main__ import BENCHMARKS, BY_DEFAULT, CONVERTED, benchmark_of, main
from benchmarks.floor import work_of
from benchmarks.measure import in_turns, machine, peak_megabytes
from benchmarks.table import Row, as_json, duration, table
from latentsync.face.detector import load_detector

ROOT = Path(__file__).parents[2]
README = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
CLIP = str(ROOT / "assets" / "demo_lipsynced.mp4")


@pytest.fixture
def own_threads() -> Iterator[None]:
    """Benchmarks set the process's threads as commands do."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def test_work_is_done_in_turns_and_the_first_round_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def act(name: str, first: float, later: float) -> None:
        now[0] += later if name in order else first
        order.append(name)

    seconds = in_turns({"a": lambda: act("a", 16, 1), "b": lambda: act("b", 0, 4)}, 3)
    assert order == ["a", "b"] * 4
    assert seconds == {"a": 1, "b": 4}


def test_the_ratio_says_how_many_times_faster() -> None:
    assert Row("x", 0.5, 2.0, "plain").ratio == 4.0
    assert Row("x", 0.5).ratio is None


def test_the_table_is_markdown_with_a_line_for_each_row() -> None:
    lines = table([Row("composite", 0.004, 0.4, "plain", 300), Row("detection", 0.015)]).split("\n")
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert "4.00 ms" in lines[2] and "0.40 s (plain)" in lines[2] and "100.0" in lines[2]
    assert "300 MB" in lines[2] and "MB" not in lines[3]


@pytest.mark.parametrize(("seconds", "text"), [(0.0012, "1.20 ms"), (2.0, "2.00 s"), (75, "75 s")])
def test_a_duration_has_a_unit_that_suits_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_json_describes_the_machine() -> None:
    kept = json.loads(as_json([Row("x", 0.5, 2.0, "plain")], machine()))
    assert kept["rows"][0]["ratio"] == 4.0
    assert {"processor", "cores", "amx", "torch", "execution"} <= set(kept["machine"])


def test_operations_are_counted_without_doing_any() -> None:
    gflop = work_of(lambda: nn.Conv2d(256, 512, 3, padding=1), (8, 256, 512, 512))
    assert gflop == pytest.approx(2 * 8 * 512 * 512 * 256 * 512 * 9 / 1e9)
    assert work_of(lambda: nn.Linear(2, 2), (10**12, 2)) == pytest.approx(8e3)  # of 8 TB


def test_memory_is_reported_in_megabytes() -> None:
    assert 50 < peak_megabytes() < 100_000


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_there(name: str) -> None:
    assert callable(benchmark_of(name, Path("video.mp4")))


def test_the_default_leaves_out_nothing_but_the_slow_one() -> None:
    assert set(BENCHMARKS) - set(BY_DEFAULT) == {"unet"}
    assert set(CONVERTED) <= set(BENCHMARKS)


def test_one_benchmark_runs_in_its_process_and_fills_table_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "figures.json"
    assert main(["--only", "frame", "--json", str(target)]) == 0
    shown = capsys.readouterr()
    assert "frame ..." in shown.err
    rows = {row["work"]: row for row in json.loads(target.read_text())["rows"]}
    assert rows["composite"]["ratio"] > 0
    assert rows["detection"]["ours"] > 0
    assert "LatentSync's paste" in shown.out


def test_the_readme_names_every_benchmark() -> None:
    assert all(f"`{name}`" in README for name in BENCHMARKS)


def test_quality_is_reported_for_each_degradation(
    capsys: pytest.CaptureFixture[str], own_threads: None
) -> None:
    restoration_quality.main([CLIP, "--frames", "3", "restore.when=always"])
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line[:14].strip() for line in lines] == list(restoration_quality.DEGRADATIONS)
    assert all(line[14:].split()[0] == "100%" for line in lines)


def test_reuse_is_reported_for_each_threshold(
    capsys: pytest.CaptureFixture[str], own_threads: None
) -> None:
    reuse.main([CLIP, "--frames", "4"])
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert "4 frames" in first
    assert [int(line.split()[0]) for line in lines] == list(reuse.THRESHOLDS)


def test_large_frames_show_a_face_of_the_wanted_width() -> None:
    first, *others = big_frames.enlarged(Path(CLIP), 3, (400, 300), 180)
    assert len(others) == 2 and first.shape == (300, 400, 3)
    x0, _, x1, _ = load_detector("mediapipe")(first)[0].box
    assert x1 - x0 == pytest.approx(180, rel=0.05)
    assert (x0 + x1) / 2 == pytest.approx(200, abs=5)
