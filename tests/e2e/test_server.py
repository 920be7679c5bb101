"""A server that is killed in the middle of a job, while clients ask and watch: no job is lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.media_factory import make_video

ROOT = Path(__file__).parents[2]


def test_a_job_survives_the_servers_death_and_clients_are_answered(tmp_path, demo_frames):
    video = make_video(tmp_path / "short.mp4", demo_frames[:10])
    words = [sys.executable, "-m", "benchmarks.server", video, "--clients", "5", "--jobs", "1"]
    words += ["--kill_at", "0", "--no_page"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    start, answers, streams, _, memory, killed, jobs, lost = done.stdout.splitlines()
    assert float(re.search(r"idle: (\d+) MiB", start)[1]) < 400
    assert re.match(r"[1-9]\d* answers: .* errors: 0 ", answers)
    assert re.match(r"2 streams, .*; [1-9]\d* events", streams)
    assert float(re.search(r"to (\d+) MiB", memory)[1]) < 400
    assert re.match(r"killed at \d+ %; the engine's process ended after ", killed)
    assert (jobs, lost) == ("jobs: completed", "frames lost: none")
