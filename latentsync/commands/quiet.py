"""What libraries do unasked, prevented for the whole process: they chatter, report, import much.

For commands only, where the process begins: the library changes nothing of the process that it
runs in.
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
FILTER_TIMEOUT = 2.0  # seconds; a child of the command's may outlive it, and go on writing

HARMLESS_WARNINGS = (
    r"SymbolDatabase.GetPrototype\(\) is deprecated",  # mediapipe, of protobuf
    r".*(trace to be incorrect|as constants in the trace)",  # torch.jit: shapes, which are meant
)
"""Beginnings of warnings."""

PLOTTING = ("matplotlib", "matplotlib.pyplot")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Around a whole command, before mediapipe, openvino and huggingface_hub are imported."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    # What the hub's library says is either no matter, or said better in an error of ours.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    warnings.filterwarnings("ignore", module="huggingface_hub")
    for beginning in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", beginning)
    if "openvino" not in sys.modules:  # it would report every import to its makers
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with defer_plotting(), filter_stderr():
        yield


@contextmanager
def filter_stderr() -> Iterator[None]:
    """What C++ writes to the file descriptor of stderr goes through stderr_filter.py.

    sys.stderr, with its progress bars and tracebacks, keeps the real one. Lines of C++ come when
    they are complete. All is as before when the block ends, either way.
    """
    try:
        real = os.dup(STDERR)
    except OSError:  # there is none
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
    """The filter, at the other end of what is now the file descriptor of stderr."""
    helper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(FILTER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # who waits for the end of ours must not wait for its own
        start_new_session=True,  # Ctrl-C is for the command
    )
    if helper.stdin is not None:
        with helper.stdin as pipe:
            os.dup2(pipe.fileno(), STDERR)
    return helper


def _is_stderr(stream: Any) -> bool:
    """Whether it writes to the file descriptor, and not somewhere else, as in a test."""
    try:
        return stream.fileno() == STDERR
    except (AttributeError, OSError, ValueError):
        return False


@contextmanager
def defer_plotting() -> Iterator[None]:
    """Around the first import of mediapipe, which imports matplotlib along: 0.75 s of its 1.3.

    Nothing but its functions that plot landmarks needs it, and those import it when they are used.
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
    """A module that is imported when something in it is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # to those who ask, it can be imported

    def leave(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        if f"{self.__name__}.{name}" in PLOTTING and sys.modules.get(self.__name__) is self:
            return sys.modules[f"{self.__name__}.{name}"]
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)
