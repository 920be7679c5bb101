"""Commands suppress routine messages of libraries, and pass on errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.signals import accept_ctrl_c

ROUTINE = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\n"


def command(body: str, **options: Any) -> subprocess.Popen[str]:
    """A command whose main() is the body. Its last output is written by the process itself."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    code = (
        "import os, sys, warnings\n"
        "from latentsync.commands.console import run\n"
        f"def main():\n{lines}\n    return 0\n"
        "code = run(main)\n"
        "os.write(2, b'the end\\n')\n"
        "sys.exit(code)\n"
    )
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], text=True, **pipes, **options)


def run_main(body: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    process = command(body)
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def test_routine_messages_are_dropped_and_errors_are_not() -> None:
    body = f"os.write(2, b'{ROUTINE}'); os.write(2, b'out of memory\\n'); os.write(2, b'no end')"
    code, _, error = run_main(body)
    assert (code, error) == (0, "out of memory\nno endthe end\n")


def test_output_of_python_is_immediate_and_unchanged() -> None:
    body = f"sys.stderr.write('{ROUTINE}10 %')\nprint(sys.stderr.fileno() > 2)"
    code, out, error = run_main(body)
    assert (code, out) == (0, "True\n")
    assert error == ROUTINE.replace("\\n", "\n") + "10 %the end\n"


@pytest.mark.parametrize(
    ("body", "code"), [("1 / 0", 1), ("raise SystemExit(3)", 3), ("raise KeyboardInterrupt", 130)]
)
def test_however_it_ends_stderr_is_the_real_one_again_and_nothing_is_lost(
    body: str, code: int
) -> None:
    found, _, error = run_main(f"os.write(2, b'before\\n')\n{body}")
    assert found == code
    assert error.startswith("before\n")
    assert ("ZeroDivisionError" in error) == (code == 1)
    assert ("interrupted" in error) == (code == 130)


def test_the_last_output_before_an_abort_is_kept() -> None:
    code, _, error = run_main("os.write(2, b'check failed\\n'); os.abort()")
    assert (code, error) == (-signal.SIGABRT, "check failed\n")


def test_no_process_is_left_behind() -> None:
    process = command(
        "import latentsync.commands.quiet; print('ready', flush=True)\nimport time; time.sleep(60)"
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list a process's children")
    (helper,) = (Path("/proc", pid) for pid in children.read_text().split())
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and helper.exists():
        time.sleep(0.05)
    assert not helper.exists()


def test_a_ctrl_c_on_the_terminal_reaches_the_command_and_not_the_filter() -> None:
    body = """
import time
try:
    os.write(2, b'before\\n'); print('ready', flush=True); time.sleep(60)
except KeyboardInterrupt:
    os.write(2, b'after\\n'); raise
"""
    process = command(body, start_new_session=True, preexec_fn=accept_ctrl_c)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "before\nafter\ninterrupted; nothing was written\nthe end\n"


def test_afterwards_the_file_descriptor_is_the_one_it_was() -> None:
    code = (
        "import os\nfrom latentsync.commands.console import run\nbefore = os.fstat(2)\n"
        "run(lambda: print(os.path.samestat(os.fstat(2), before)) or 0)\n"
        "print(os.path.samestat(os.fstat(2), before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_closed_stderr_is_no_reason_to_fail() -> None:
    code = (
        "import os; os.close(2)\nfrom latentsync.commands.console import run\nprint(run(lambda: 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_loading_a_detector_is_silent() -> None:
    body = """
import numpy as np; from latentsync.face.detector import load_detector
detector = load_detector('mediapipe'); detector(np.zeros((640, 640, 3), np.uint8)); detector.reset()
"""
    assert run_main(body) == (0, "", "the end\n")


def test_loading_a_detector_takes_no_plotting_library_along_and_leaves_it_usable() -> None:
    body = """
from latentsync.face.detector import load_detector
load_detector('mediapipe'); print('matplotlib.cbook' in sys.modules)
from importlib.util import find_spec; print(find_spec('matplotlib') is not None)
from mediapipe.python.solutions import drawing_utils
print(drawing_utils.plt.figure is __import__('matplotlib.pyplot').pyplot.figure)
from matplotlib import colors; print(type(sys.modules['matplotlib']) is type(sys))
"""
    assert run_main(body)[1].split() == ["False", "True", "True", "True"]


def test_openvino_reports_nothing_and_a_conversion_warns_of_nothing() -> None:
    body = """
import torch
from latentsync.runtime import openvino
class Small(torch.nn.Module):
    def forward(self, x):
        return x + 1 if x.shape[0] < 3 else x
openvino.convert(Small().eval(), [torch.zeros(2, 3)])
print(sys.modules['openvino_telemetry'])
"""
    assert run_main(body) == (0, "None\n", "the end\n")


def test_the_hub_s_library_says_nothing_beside_our_errors() -> None:
    body = """
from huggingface_hub.utils import logging
logging.get_logger('huggingface_hub.file_download').warning('you are not signed in')
"""
    assert run_main(body) == (0, "", "the end\n")


def test_a_command_sets_the_given_threads_and_opencv_s_to_one() -> None:
    body = """
from latentsync.commands.console import use_threads
import cv2, torch
use_threads(3); print(torch.get_num_threads(), cv2.getNumThreads())
"""
    assert run_main(body)[1].split() == ["3", "1"]
