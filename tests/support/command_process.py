"""Commands of scripts/ in a process of their own, where nothing is imported yet.

Importing PyTorch takes seconds, so the commands of one test may share a process, one after the
other. Each has its own exit code and streams, captured with what libraries write.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

SECONDS = 300
_SHARED = """
import importlib, json, os, sys, traceback
asked, answers = os.fdopen(os.dup(0)), os.dup(1)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for line in asked:
    out, err, name, *arguments = json.loads(line)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    try:
        code = importlib.import_module(name).main(arguments)
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(answers, f"{code or 0}\\n".encode())
"""
_ALONE = """
import importlib, sys
sys.exit(importlib.import_module(sys.argv[1]).main(sys.argv[2:]))
"""


class CommandProcess:
    """before: Python that runs first; it takes its arguments from sys.argv. folder: the current
    one. Leaving the context ends the process, and fails if that is not silent."""

    def __init__(
        self, before: str, *arguments: str, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._before, self._arguments = before, arguments
        self._folder, self._environment = folder, dict(environment)
        self._streams = folder.parent / "streams"
        self._process: subprocess.Popen[str] | None = None
        self._last = ""

    def __enter__(self) -> CommandProcess:
        self._streams.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, place: TracebackType | None
    ) -> None:
        if self._process is not None:
            said, _ = self._process.communicate(timeout=SECONDS)
            last = (self._streams / "err").read_text()
            assert (self._process.returncode, said) == (0, "")
            assert last == self._last, "the process says something at its end"

    def alone(
        self, name: str, *arguments: object, **streams: object
    ) -> subprocess.CompletedProcess[str]:
        """Runs a module's main() as a process does. streams: of subprocess.run."""
        return subprocess.run(
            self._line(_ALONE, name, *map(str, arguments)),
            cwd=self._folder,
            env=self._environment,
            text=True,
            timeout=SECONDS,
            check=False,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )

    def __call__(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs a module's main() in the process that this object's calls share."""
        process = self._started()
        streams = [self._streams / name for name in ("out", "err")]
        asked = json.dumps([*map(str, (*streams, name, *arguments))])
        assert process.stdin is not None and process.stdout is not None
        with _at_most(SECONDS, process):
            process.stdin.write(asked + "\n")
            process.stdin.flush()
            code = process.stdout.readline()
        out, self._last = (path.read_text() for path in streams)
        assert code, f"the process has ended: {self._last}"
        return subprocess.CompletedProcess(asked, int(code), out, self._last)

    @property
    def pid(self) -> int:
        """Of the process that this object's calls share."""
        return self._started().pid

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._line(_SHARED),
                cwd=self._folder,
                env=self._environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._process

    def _line(self, script: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", self._before + script, *self._arguments, *arguments]


class _at_most:
    """Kills the process when the block takes longer."""

    def __init__(self, seconds: float, process: subprocess.Popen[str]) -> None:
        self._timer = threading.Timer(seconds, process.kill)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
