"""The whole command, as a user types it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import ROUNDS
from benchmarks.table import Row

OPTIONS = ("restore.when=always", "output.preset=veryfast")


def detail(folder: Path, video: Path) -> list[Row]:
    """Detail on every frame, from the start of the program to its end: the run of median time."""
    runs = sorted(_run(video, folder / f"{number}.mp4") for number in range(ROUNDS))
    total, start, peak, frames, size = runs[len(runs) // 2]
    note = f"{frames / total:.1f} fps with start-up; {frames} frames of {size}"
    return [
        Row("Detail, the whole command, per frame", total / frames, peak=peak, note=note),
        Row("  of that, start of the program", start, note="before the first frame is read"),
    ]


def _run(video: Path, target: Path) -> tuple[float, float, float, int, str]:
    """Returns total seconds, seconds before the job began, peak [MB], frames, size."""
    files = ["-i", str(video), "-o", str(target)]
    command = [sys.executable, "-m", "scripts.inference", *files, "--quiet", *OPTIONS]
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    total = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    report = json.loads(target.with_suffix(".report.json").read_text("utf-8"))
    size = f"{report['input']['width']}x{report['input']['height']}"
    start = total - report["seconds"]["total"]
    return total, start, usage.ru_maxrss / 1024, report["frames"]["total"], size
