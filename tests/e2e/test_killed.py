"""A batch whose workers are killed again and again is finished: no frame is lost or doubled."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.media_factory import make_video

ROOT = Path(__file__).parents[2]


def test_three_videos_survive_five_kills_of_two_workers_that_share_them(tmp_path, demo_frames):
    videos = [make_video(tmp_path / f"{n}.mp4", demo_frames[n:] * 2) for n in range(3)]
    words = [sys.executable, "-m", "benchmarks.kills", *videos, "--kills", "5"]
    words += ["--workers", "2", "--segment", "0.3"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    kills = re.fullmatch(r"(\d+) kills; jobs: done, done, done", lines[0])
    assert kills is not None and int(kills[1]) >= 2, done.stdout
    assert lines[1] == "frames as of an uninterrupted run: all"
    assert re.match(r"\d+ segments; begun and lost: \d ", lines[2]), done.stdout
    assert lines[3] == "done twice: 0"
    assert lines[4] == "files that do not belong there: none"
    assert "Traceback" not in done.stderr
