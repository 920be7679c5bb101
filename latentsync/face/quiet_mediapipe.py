"""What mediapipe does unasked while it loads: it chatters, and it imports what plots."""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

STDERR = 2
CHATTER = re.compile(
    rb"^(INFO: Created TensorFlow Lite XNNPACK delegate"
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|[WI]0000 .*(inference_feedback_manager|gl_context|landmark_projection_calculator))"
)

PLOTTING = ("matplotlib", "matplotlib.pyplot")


@contextmanager
def quiet_mediapipe() -> Iterator[None]:
    """Around construction and first use: drops the chatter, lets everything else through.

    It comes from C++, below sys.stderr, so the file descriptor itself is held back; the rest
    follows when the block ends, either way.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")
    warnings.filterwarnings("ignore", r"SymbolDatabase.GetPrototype\(\) is deprecated", UserWarning)
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        real = os.dup(STDERR)
        os.dup2(held.fileno(), STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, STDERR)
            os.close(real)
            held.seek(0)
            _pass_on(held.readlines())


@contextmanager
def plotting_deferred() -> Iterator[None]:
    """Around the first import of mediapipe, which imports matplotlib along: most of its 0.5 s.

    Nothing but its functions that plot landmarks needs it, and those import it when they are used.
    """
    stand_ins = {name: _Deferred(name) for name in PLOTTING if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for stand_in in stand_ins.values():
            stand_in.leave()


class _Deferred(ModuleType):
    """A module that is imported when something in it is asked for."""

    def leave(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        if f"{self.__name__}.{name}" in PLOTTING and sys.modules.get(self.__name__) is self:
            return sys.modules[f"{self.__name__}.{name}"]
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)


def _pass_on(lines: list[bytes]) -> None:
    for line in lines:
        if not CHATTER.match(line):
            os.write(STDERR, line)
