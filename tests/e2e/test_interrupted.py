"""A job that is stopped, or that runs out of disk, leaves nothing behind and says so."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.media_factory import make_video
from tests.support.signals import accept_ctrl_c

ROOT = Path(__file__).parents[2]


SECONDS = 300
"""To wait for a process, which takes some of them where nothing else runs."""
SLOWLY = ("--superres", "tests.support.slow_restorer:load", "restore.batch=1")
"""A frame takes half a second: there is time to stop the job."""


def _start(video: Path, target: Path, *settings: str, **options) -> subprocess.Popen:
    line = [sys.executable, "-m", "scripts.inference", "-i", video, "-o", target, *settings]
    return subprocess.Popen(
        [*line, "restore.when=always"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "terminated"]
)
def test_a_stopped_job_leaves_no_file(sent, code, tmp_path, demo_frames):
    video = make_video(tmp_path / "in.mp4", demo_frames)
    job = _start(video, tmp_path / "out.mp4", *SLOWLY, preexec_fn=accept_ctrl_c)
    deadline = time.monotonic() + SECONDS
    while not list(tmp_path.glob(".*")) and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert job.poll() is None, "the job ended before it could be stopped"
    job.send_signal(sent)
    _, err = job.communicate(timeout=SECONDS)
    assert job.returncode == code, err
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_a_full_disk_gets_one_line_and_leaves_no_file(tmp_path, demo_frames):
    def small_disk() -> None:  # a write beyond the limit fails as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    video = make_video(tmp_path / "in.mp4", demo_frames[:4])
    job = _start(video, tmp_path / "out.mp4", preexec_fn=small_disk)
    _, err = job.communicate(timeout=SECONDS)
    assert job.returncode == 2, err
    assert "cannot write the output" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]
