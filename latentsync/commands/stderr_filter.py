"""Passes on what it is given, line by line, but for what mediapipe says unasked.

A process of its own, started by quiet.py: it passes on the last words of a command that is
killed or aborts, and it never waits for a Python that is busy. Nothing but the standard library is
imported, as it starts with every command.
"""

import contextlib
import re
import sys

CHATTER = re.compile(
    rb"(INFO: Created TensorFlow Lite XNNPACK delegate"
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|[WI]0000 .*(inference_feedback_manager|gl_context|landmark_projection_calculator))"
)


def main() -> None:
    """Ends when nobody is left who could write."""
    for line in sys.stdin.buffer:
        if not CHATTER.match(line):
            with contextlib.suppress(OSError):  # nobody listens: the command must not notice here
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
