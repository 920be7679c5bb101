"""Memory that one thread frees is used by the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT_ARENAS = """
import ctypes, threading
from latentsync.runtime.allocator import share_freed_memory
if {shared}:
    share_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
there = threading.Barrier(8)
def allocate():
    there.wait()
    libc.malloc(100_000)
    there.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


def arenas(*, shared: bool) -> int:
    script = COUNT_ARENAS.format(shared=shared)
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return done.stdout.count("<heap ")


@pytest.mark.skipif(sys.platform != "linux", reason="an allocator of Linux")
def test_threads_share_two_arenas() -> None:
    assert arenas(shared=True) <= 2 < arenas(shared=False)
