"""Copies stdin to stderr line by line, without mediapipe's routine messages.

A process of its own, started by quiet.py: so the last output of a command that is killed or aborts
is not lost, and nothing waits for a busy interpreter. It imports the standard library only, as it
starts with every command.
"""

import contextlib
import re
import sys

ROUTINE = re.compile(
    rb"(INFO: Created TensorFlow Lite XNNPACK delegate"
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|[WI]0000 .*(inference_feedback_manager|gl_context|landmark_projection_calculator))"
)


def main() -> None:
    """Ends when all writers have closed the pipe."""
    for line in sys.stdin.buffer:
        if not ROUTINE.match(line):
            with contextlib.suppress(OSError):  # the reader is gone: no concern of the command
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
