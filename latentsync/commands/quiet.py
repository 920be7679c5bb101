"""Prevents side effects of libraries: messages on stderr, telemetry, slow imports.

For commands only: the library itself changes nothing in its process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

STDERR = 2
FILTER = Path(__file__).with_name("stderr_filter.py")
FILTER_TIMEOUT = 2.0  # seconds; a child process may outlive the command and go on writing

HARMLESS_WARNINGS = (
    r"SymbolDatabase.GetPrototype\(\) is deprecated",  # mediapipe, of protobuf
    r".*(trace to be incorrect|as constants in the trace)",  # torch.jit: intended
)
"""Regular expressions for the beginnings of warnings to ignore."""

PLOTTING = ("matplotlib", "matplotlib.pyplot")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Wraps a whole command; enter it before importing mediapipe, openvino, huggingface_hub."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    # The hub library's warnings are harmless, or covered by our own errors.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    warnings.filterwarnings("ignore", module="huggingface_hub")
    for beginning in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", beginning)
    if "openvino" not in sys.modules:  # disables OpenVINO telemetry
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with defer_plotting(), filter_stderr():
        yield


@contextmanager
def filter_stderr() -> Iterator[None]:
    """Sends what C++ code writes to stderr's file descriptor through stderr_filter.py.

    sys.stderr (progress bars, tracebacks) keeps the original descriptor. Lines from C++ appear once
    they are complete. The end of the block restores everything, also after an exception.
    """
    try:
        real = os.dup(STDERR)
    except OSError:  # no stderr
        yield
        return
    own, helper = sys.stderr, _started()
    if _is_stderr(own):
        own.flush()
        sys.stderr = open(  # noqa: SIM115  closed below
            real, "w", buffering=1, encoding=own.encoding, errors=own.errors, closefd=False
        )
    try:
        yield
    finally:
        if sys.stderr is not own:
            sys.stderr.close()
            sys.stderr = own
        os.dup2(real, STDERR)
        os.close(real)
        with contextlib.suppress(subprocess.TimeoutExpired):
            helper.wait(FILTER_TIMEOUT)


def _started() -> subprocess.Popen[bytes]:
    """Starts the filter and redirects the file descriptor of stderr to it."""
    helper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(FILTER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # otherwise a reader of our stdout would wait for the filter
        start_new_session=True,  # Ctrl-C must reach the command only
    )
    if helper.stdin is not None:
        with helper.stdin as pipe:
            os.dup2(pipe.fileno(), STDERR)
    return helper


def _is_stderr(stream: Any) -> bool:
    """Whether it writes to the file descriptor; in a test it may not."""
    try:
        return stream.fileno() == STDERR
    except (AttributeError, OSError, ValueError):
        return False


@contextmanager
def defer_plotting() -> Iterator[None]:
    """Wraps the first import of mediapipe, which imports matplotlib: 0.75 of its 1.3 s.

    Only its functions that plot landmarks need it; they import it when called.
    """
    stand_ins = {name: _Deferred(name) for name in PLOTTING if name not in sys.modules}
    if find_spec(PLOTTING[0]) is None:
        stand_ins = {}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for stand_in in stand_ins.values():
            stand_in.leave()


class _Deferred(ModuleType):
    """A module that is imported at the first access to an attribute."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # find_spec reports it as importable

    def leave(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        if f"{self.__name__}.{name}" in PLOTTING and sys.modules.get(self.__name__) is self:
            return sys.modules[f"{self.__name__}.{name}"]
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)
