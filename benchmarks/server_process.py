"""The server's process: started, looked at, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0
ENGINE_SECONDS = 15.0  # that it may outlive the server's process


@dataclass
class Server:
    """The process, where it is reached, and how long that took [s, and s of CPU]."""

    process: subprocess.Popen[str]
    url: str
    seconds: float
    start_cpu: float = 0.0

    @property
    def memory(self) -> float:
        """RSS of the server's process [MiB]; 0: it is gone."""
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{self.process.pid}/status").read_text("utf-8").splitlines()
            return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
        return 0.0

    @property
    def cpu(self) -> float:
        """That the server's process has used [s]."""
        fields = (
            Path(f"/proc/{self.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        )
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def children(self) -> list[int]:
        """Of all its threads."""
        found: list[int] = []
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text("utf-8").split())
        return found

    def kill(self) -> float:
        """With SIGKILL. Returns after how many seconds its children are gone, too."""
        children, begin = self.children(), time.monotonic()
        self.process.kill()
        self.process.wait()
        while any(map(_is_alive, children)) and time.monotonic() - begin < ENGINE_SECONDS:
            time.sleep(0.05)
        if any(map(_is_alive, children)):
            raise SystemExit(f"the engine's process goes on {ENGINE_SECONDS:g} s after the server")
        return time.monotonic() - begin


def _is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text("utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def serving(state: Path, page: bool) -> Iterator[Server]:
    """Ended with SIGTERM."""
    words = [sys.executable, "-m", "scripts.serve", "--port", "0", "--state_dir", str(state)]
    words += ["--offline", *([] if page else ["--no_page"])]
    begin = time.monotonic()
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip().rstrip("/")
            if not url:
                raise SystemExit("the server did not start")
            wait_for(f"{url}/healthz")
            server = Server(process, url, time.monotonic() - begin)
            server.start_cpu = server.cpu
            yield server
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def wait_for(url: str, text: str = "") -> None:
    """Until it is answered with 200, and holds the text."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with suppress(httpx2.TransportError):
            answer = httpx2.get(url, timeout=START_SECONDS)
            if answer.status_code == 200 and text in answer.text:
                return
        time.sleep(0.05)
    raise SystemExit(f"{url} is not answered within {START_SECONDS:g} s")
