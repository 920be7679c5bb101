"""A lip-synced video comes back with its mouth restored and nothing else changed."""

from __future__ import annotations

import json
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

import latentsync
from latentsync import Engine, Session, load_config
from latentsync.errors import ConfigError
from latentsync.media.reader import VideoReader
from tests.e2e.conftest import Outcome
from tests.support.media_factory import Tone, audio_packets, make_video, pts_of
from tests.support.terminal import THERE_ARE_NONE, terminal

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Restored:
    """What one run of the command was given, wrote and said."""

    video: Path
    target: Path
    outcome: Outcome

    @property
    def report(self) -> dict:
        return json.loads(self.target.with_suffix(".report.json").read_text())


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    """For what does not depend on the number of frames."""
    return make_video(tmp_path / "in.mp4", demo_frames[:4], audio=[Tone(0.2)])


@pytest.fixture(scope="module")
def done(tmp_path_factory, demo_frames, run) -> Restored:
    folder = tmp_path_factory.mktemp("enhance")
    video = make_video(folder / "in.mp4", demo_frames, audio=[Tone(0.5)])
    target = folder / "out.mp4"
    outcome = run("-i", video, "-o", target, "restore.when=always", "output.crf=14")
    assert outcome.code == 0, outcome.err
    return Restored(video, target, outcome)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_config(None, ["restore.when=always"]))


@pytest.fixture(scope="module")
def frames(done, engine) -> np.ndarray:
    """Those of `done`, before they are encoded: the five lines of the README make them."""
    return _restored(engine, done.video)


def _pixels(path: Path) -> np.ndarray:
    return np.stack([frame.pixels for frame in VideoReader(path)])


def _restored(engine: Engine, video: Path) -> np.ndarray:
    """The finished frames, before they are encoded."""
    with Session(engine, video) as session:
        return np.stack([frame.pixels for frame in session.frames()])


def test_frames_times_and_audio_are_the_source_s_own(done):
    assert pts_of(done.target) == pts_of(done.video)
    assert audio_packets(done.target) == audio_packets(done.video)


def test_before_the_encode_only_the_mouth_differs(done, frames):
    """A band around the mouth changes; the upper half of the frame and its borders do not."""
    before, after = _pixels(done.video).astype(int), frames.astype(int)
    rows, columns = np.nonzero(np.abs(after - before).max(axis=(0, 3)))
    height, width = before.shape[1:3]
    assert len(rows) > 200, "the mouth was not restored at all"
    assert rows.min() > 0.5 * height
    assert columns.min() > 0.2 * width
    assert columns.max() < 0.8 * width


def test_the_mouth_gains_detail(done, frames):
    before, after = _pixels(done.video), frames
    changed = np.abs(after.astype(int) - before).max(axis=(0, 3)) > 0
    assert _fine_detail(after, changed) > 1.2 * _fine_detail(before, changed)


def _fine_detail(video: np.ndarray, where: np.ndarray) -> float:
    grey = video.mean(axis=3).astype(np.float32)
    return float(np.mean([((g - cv2.GaussianBlur(g, (0, 0), 2)) ** 2)[where].mean() for g in grey]))


def test_the_same_video_twice_gives_the_same_frames(done, engine, frames):
    assert frames.shape == (12, 340, 360, 3)
    assert (_restored(engine, done.video) == frames).all()


def test_the_report_says_what_was_done(done):
    report = done.report
    assert (report["kind"], report["schema"]) == ("latentsync report", 5)
    assert report["frames"] == {
        "total": 12,
        "with_face": 12,
        "generated": 0,
        "selected": 12,
        "restored": 12,
        "reused": 0,
        "uncertain": 0,
    }
    assert len(report["per_frame"]["sharpness"]) == 12
    assert report["per_frame"]["strength"] == [1.0] * 12
    assert all(change > 0 for change in report["per_frame"]["change"])
    assert report["spans_seconds"]["restored"] == [[0.0, 0.44]]
    assert report["restorer"]["name"] == "Detail"
    assert report["settings"]["output"]["crf"] == 14
    stages = ("decode", "detect", "decode (pass 2)", "restore", "composite", "encode")
    assert {*stages, "total"} <= set(report["seconds"])
    assert [name for name in report["stages"] if name in stages] == list(stages)


def test_the_report_says_what_made_it_when_and_where(video, tmp_path, run):
    target = tmp_path / "out.mp4"
    run("-i", video, "-o", target, "restore.blur_on=0.6")
    text = (tmp_path / "out.report.json").read_text()
    report = json.loads(text)
    assert report["version"] == latentsync.__version__
    assert datetime.now(UTC) - datetime.fromisoformat(report["created"]) < timedelta(minutes=5)
    typed = shlex.split(report["command"])[-5:]
    assert typed == ["-i", str(video), "-o", str(target), "restore.blur_on=0.6"]
    assert set(report["host"]) == {"os", "machine", "cpu_count", "python", "torch"}
    assert platform.node() not in json.dumps(report["host"])
    assert report["people"] == {
        "most_at_once": 1,
        "frames_with_several": 0,
        "found": 1,
        "recognised_by": "edges of the upper face",
        "speaking_known_by": None,
    }
    assert report["speaker"]["chosen_by"] == ["largest"] and report["speaker"]["person"] == 1
    assert report["thresholds"] == {"blur_on": 0.6, "blur_off": 0.3}
    assert len(text.splitlines()) < 260, "a list with an entry per frame is one line"


def test_a_report_from_python_has_no_command(video, tmp_path):
    settings = ["restore.when=always", "output.preset=ultrafast"]
    with Session(Engine(load_config(None, settings)), video) as session:
        report = session.render(tmp_path / "out.mp4")
    assert report["command"] is None
    assert report["thresholds"] == {"blur_on": None, "blur_off": None}


def test_no_report_where_none_is_wanted(video, tmp_path, run):
    run("-i", video, "-o", tmp_path / "out.mp4", "output.report=false")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_compare_puts_before_and_after_side_by_side_in_a_file_beside_the_result(
    video, tmp_path, run
):
    target, beside = tmp_path / "out.mp4", tmp_path / "out_compare.mp4"
    options = ("--compare", "restore.when=always", "output.crf=1")
    assert str(beside) in run("-i", video, "-o", target, *options).out
    assert {path.name for path in tmp_path.iterdir()} == {
        *("in.mp4", "out.mp4", "out_compare.mp4", "out.report.json")
    }
    before, both = _pixels(video).astype(int), _pixels(beside).astype(int)
    assert _pixels(target).shape == before.shape
    assert np.abs(_pixels(target) - both[:, :, before.shape[2] :]).mean() < 2
    assert pts_of(beside) == pts_of(target) and audio_packets(beside) == audio_packets(target)
    assert both.shape[2] == 2 * before.shape[2]
    left, right = both[:, :, : before.shape[2]], both[:, :, before.shape[2] :]
    assert np.abs(left - before).mean() < 2
    assert np.abs(right - left).max() > 10


def test_without_a_terminal_a_pass_is_two_lines(done):
    said = done.outcome.err
    assert "\r" not in said
    lines = [line for line in said.splitlines() if line.startswith("detecting faces")]
    assert lines[0] == "detecting faces: 12 frames"
    assert re.fullmatch(r"detecting faces: done, 12 frames in .* s, .* fps", lines[1])
    assert len(lines) == 2


@pytest.mark.skipif(THERE_ARE_NONE, reason="there are no such terminals here")
def test_on_a_terminal_a_pass_is_a_bar(video, tmp_path):
    line = [sys.executable, "-m", "scripts.inference", "-i", video, "-o", tmp_path / "out.mp4"]
    with terminal() as made:
        subprocess.run(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=made.number, check=True)
    assert "4/4 frames" in made.shown and "detecting faces: done" not in made.shown


def test_an_output_that_is_there_is_replaced_on_request_only(video, tmp_path, run):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"dear to me")
    refused = run("-i", video, "-o", target)
    (line,) = refused.err.strip().splitlines()
    assert refused.code == 2
    assert str(target) in line and "--overwrite" in line
    assert target.read_bytes() == b"dear to me"
    assert run("-i", video, "-o", target, "--dry-run").code == 0
    assert run("-i", video, "-o", target, "--preview", "1").code == 0
    assert target.read_bytes() == b"dear to me"
    assert run("-i", video, "-o", target, "--overwrite").code == 0
    assert len(pts_of(target)) == 4


def test_nor_is_the_comparison_beside_it(video, tmp_path, run):
    beside = tmp_path / "out_compare.mp4"
    beside.write_bytes(b"dear to me")
    refused = run("-i", video, "-o", tmp_path / "out.mp4", "--compare")
    assert refused.code == 2 and str(beside) in refused.err
    assert beside.read_bytes() == b"dear to me" and not (tmp_path / "out.mp4").exists()


def test_a_session_does_not_replace_an_output_unasked(video, tmp_path):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"dear to me")
    with Session(Engine(load_config(None)), video) as session:
        with pytest.raises(ConfigError, match="overwrite"):
            session.render(target)
        assert "detect" not in session.timer.work, "it is refused before any work"


def test_preview_writes_images_and_no_video(video, tmp_path, run):
    result = run("-i", video, "-o", tmp_path / "out.mp4", "--preview", "4", "restore.when=always")
    images = sorted((tmp_path / "out_preview").iterdir())
    assert result.code == 0
    assert [str(p) for p in images] == result.out.split()
    assert len(images) == 4
    assert all(p.name.endswith("_restored.png") for p in images)
    assert cv2.imread(str(images[0])).shape == (340 + 170, 720, 3)
    assert not (tmp_path / "out.mp4").exists()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(video, tmp_path, run):
    result = run("-i", video, "-o", tmp_path / "out.mp4", "--dry-run", "restore.when=always")
    assert result.code == 0
    assert "360x340, 4 frames, 25 fps" in result.out
    assert "Detail" in result.out
    assert " fps" in result.out.splitlines()[-1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ("compat=upstream", "--audio_path"),
        ("face.align=upstream", "compat=upstream"),
        ("output.paste=upstream", "compat=upstream"),
    ],
)
def test_compat_upstream_is_refused_without_new_speech(setting, remedy, video, tmp_path, run):
    result = run("-i", video, "-o", tmp_path / "out.mp4", setting, "restore.when=always")
    assert result.code == 2
    assert remedy in result.err.strip().splitlines()[-1]
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("region", ["lower_face", "face"])
def test_every_region_works(region, video, tmp_path, run):
    """The mouth is the default."""
    target = tmp_path / "out.mp4"
    options = (f"restore.region={region}", "restore.when=always")
    assert run("-i", video, "-o", target, *options).code == 0
    assert len(pts_of(target)) == 4


def test_the_short_name_starts_and_one_line_is_said_when_quiet(video, tmp_path):
    """The long one, -m scripts.inference, is started on the terminal above."""
    target, words = tmp_path / "out.mp4", ("--quiet", "restore.when=always")
    done = subprocess.run(
        [sys.executable, "inference.py", "--input", video, "--output", target, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{target}: 4 of 4 frames restored; the mouth was ")
    assert done.stdout.count("\n") == 1
    assert "detecting faces" not in done.stderr
    assert len(pts_of(target)) == 4
