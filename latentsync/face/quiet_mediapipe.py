"""mediapipe chatters on stderr while it loads; this drops that and lets everything else through."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
CHATTER = re.compile(
    rb"^(INFO: Created TensorFlow Lite XNNPACK delegate"
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|[WI]0000 .*(inference_feedback_manager|gl_context|landmark_projection_calculator))"
)


@contextmanager
def quiet_mediapipe() -> Iterator[None]:
    """Around import, construction and first use. The chatter comes from C++, below sys.stderr, so
    the file descriptor itself is held back; the rest follows when the block ends, either way."""
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


def _pass_on(lines: list[bytes]) -> None:
    for line in lines:
        if not CHATTER.match(line):
            os.write(STDERR, line)
