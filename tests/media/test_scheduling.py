"""No encoder moves the process, or what it starts later, into the real-time class."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from latentsync.media.scheduling import scheduling_kept
from latentsync.media.settings import EncodeSettings
from tests.support.copying import copied
from tests.support.media_factory import make_video, moving_pattern

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has these classes")


def classes() -> set[int]:
    """Of all threads of this process."""
    return {os.sched_getscheduler(int(task.name)) for task in Path("/proc/self/task").iterdir()}


@pytest.fixture
def may_set() -> None:
    """Skips where the class cannot be changed: then no encoder can change it either."""
    ask = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    if subprocess.run([sys.executable, "-c", ask], capture_output=True).returncode:
        pytest.skip("only root may ask for the real-time class")


@pytest.mark.usefixtures("may_set")
def test_encoding_av1_as_root_leaves_every_thread_in_its_class(tmp_path: Path) -> None:
    before = classes()
    source = make_video(tmp_path / "a.mp4", moving_pattern(count=4))
    copied(source, tmp_path / "b.mkv", EncodeSettings("libsvtav1", preset="ultrafast"))
    assert classes() == before == {os.SCHED_OTHER}


@pytest.mark.usefixtures("may_set")
def test_the_caller_and_threads_that_it_started_go_back_others_stay() -> None:
    ends = threading.Event()
    real_time = os.sched_param(1)

    def hurry() -> None:
        os.sched_setscheduler(0, os.SCHED_FIFO, real_time)
        begun.release()
        ends.wait()

    begun = threading.Semaphore(0)
    own, theirs = (threading.Thread(target=hurry, daemon=True) for _ in range(2))
    own.start()
    begun.acquire()
    try:
        with scheduling_kept():
            theirs.start()
            begun.acquire()
            os.sched_setscheduler(0, os.SCHED_FIFO, real_time)
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
        assert os.sched_getscheduler(theirs.native_id or 0) == os.SCHED_OTHER
        assert os.sched_getscheduler(own.native_id or 0) == os.SCHED_FIFO
    finally:
        ends.set()
        own.join()
        theirs.join()
