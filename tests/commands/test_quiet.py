"""Commands suppress routine messages of libraries, and pass on errors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


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


@pytest.mark.parametrize(
    ("body", "code"), [("1 / 0", 1), ("raise SystemExit(3)", 3), ("raise KeyboardInterrupt", 130)]
)
def test_however_it_ends_the_exit_code_says_so_and_nothing_is_lost(body: str, code: int) -> None:
    found, _, error = run_main(f"os.write(2, b'before\\n')\n{body}")
    assert found == code
    assert error.startswith("before\n")
    assert ("ZeroDivisionError" in error) == (code == 1)
    assert ("interrupted" in error) == (code == 130)


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
