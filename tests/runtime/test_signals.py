"""Networks come and go while signals arrive: Ctrl-C, or a child's end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Each thread has its own stack for signals; Python's handlers run on it where there is one.
SCRIPT = """
import signal, torch
from latentsync.runtime.execution import Execution
from latentsync.runtime.openvino import Graph, convert

seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append("seen"))
execution = Execution(torch.device("cpu"), "openvino", torch.float32, 1)
example = torch.zeros(1, 3, 8, 8)
model = torch.nn.Conv2d(3, 4, 3)
kept = [Graph(convert(model, [example]), [example], execution, torch.float32) for _ in range(3)]
while kept:
    kept.pop(0)  # the first one ends first
    signal.raise_signal(signal.SIGUSR1)
print(len(seen))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of Windows are other ones")
def test_a_signal_after_networks_have_gone_is_handled() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
