"""A download that cannot go on keeps what it has; of several at once, one does the work."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from latentsync.errors import CheckpointError
from latentsync.weights.download import SourceError
from tests.support.fetching import BODY, SHA256, SIZE, get, names_in, part_of
from tests.support.loopback import Loopback, Served
from tests.support.signals import accept_ctrl_c

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "net.pth"


# --- what another source would not mend ---


def test_too_little_space_raises_before_the_body(server, target) -> None:
    url = server.add("/net.pth", Served(BODY, length=1 << 60))
    with pytest.raises(CheckpointError, match=f"{1 << 60:,} bytes are missing") as error:
        get(url, target, size=1 << 60)
    assert not isinstance(error.value, SourceError)
    assert not target.parent.exists()


def test_a_disk_that_fills_up_keeps_what_was_fetched(server, target) -> None:
    url = server.add("/net.pth", Served(BODY))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Beyond the limit a write fails as on a full disk, after what still fits.
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(CheckpointError, match=os.strerror(errno.EFBIG)) as error:
            get(url, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not isinstance(error.value, SourceError)
    assert part_of(target).read_bytes() == BODY[:300_000]
    get(url, target)
    assert server.asked[1].range == "bytes=300000-"
    assert target.read_bytes() == BODY


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(CheckpointError, match=r"weights.*folder") as error:
        get(server.add("/net.pth", Served(BODY)), tmp_path / "weights" / "net.pth")
    assert not isinstance(error.value, SourceError)
    assert not server.asked


# --- several processes, and those that are stopped ---

CHILD = """
import contextlib, logging, sys
from pathlib import Path
from latentsync.weights.download import download

@contextlib.contextmanager
def bar(title, total):
    yield lambda count: None

logging.basicConfig(level=logging.INFO)
url, target, size, sha256 = sys.argv[1:]
download(url, Path(target), size=int(size), sha256=sha256, progress=bar)
"""


def start(url: str, target: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD, url, str(target), str(SIZE), SHA256]
    return subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=accept_ctrl_c
    )


def wait_for(condition: Callable[[], bool], job: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while not condition() and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition(), job.communicate()[1] if job.poll() is not None else "nothing happened"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_download_is_resumed_by_the_next(server, target, how) -> None:
    slow = Served(BODY, pause=0.05, block=20_000)
    job = start(server.add("/net.pth", slow), target)
    wait_for(lambda: part_of(target).exists() and part_of(target).stat().st_size >= 100_000, job)
    job.send_signal(how)
    assert job.wait(timeout=20) == -how
    job.stderr.close()
    assert not target.exists()
    have = part_of(target).stat().st_size
    assert 100_000 <= have < SIZE
    slow.pause = 0
    get(server.url("/net.pth"), target)
    assert [asked.range for asked in server.asked] == [None, f"bytes={have}-"]
    assert target.read_bytes() == BODY


def test_of_two_processes_one_fetches_and_both_have_the_file(server, target) -> None:
    url = server.add("/net.pth", Served(BODY, pause=0.1, block=50_000))
    first = start(url, target)
    wait_for(lambda: bool(server.asked), first)
    second = start(url, target)
    for job in (first, second):
        _, said = job.communicate(timeout=30)
        assert job.returncode == 0, said
    assert "another process downloads it" in said
    assert server.sent() == SIZE
    assert names_in(target.parent) == ["net.pth"]


def test_a_dead_process_leaves_no_lock(server, target, caplog) -> None:
    slow = Served(BODY, pause=0.05, block=20_000)
    job = start(server.add("/net.pth", slow), target)
    wait_for(lambda: part_of(target).exists(), job)
    assert (target.parent / ".net.pth.lock").exists()
    job.kill()
    job.communicate()
    slow.pause = 0
    with caplog.at_level(logging.INFO):
        get(server.url("/net.pth"), target)
    assert "waiting" not in caplog.text
