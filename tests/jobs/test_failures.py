"""What can pass is tried again, at most three times; bad input is not."""

from __future__ import annotations

import errno

import pytest

from latentsync.errors import ConfigError, MediaError
from latentsync.jobs.failures import ATTEMPTS, again_in, line_of


def raised(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except type(error) as made:
        return made


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "error", [FULL, MemoryError(), raised(MediaError("cannot write", "a.mp4", "free some"), FULL)]
)
def test_a_full_disk_or_memory_may_pass(error: Exception) -> None:
    waits = [again_in(error, attempt) for attempt in range(1, ATTEMPTS + 1)]
    assert waits[-1] is None and waits[0] is not None and waits[1] is not None
    assert waits[0] < waits[1]


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("output.crf", 99, "use 0 to 51"),
        raised(MediaError("cannot open", "a.mp4", "check"), FileNotFoundError(2, "not there")),
        ValueError("a bug"),
    ],
)
def test_bad_input_and_bugs_fail_at_once(error: Exception) -> None:
    assert again_in(error, 1) is None


def test_the_reason_is_one_line() -> None:
    assert line_of(ConfigError("a\nb", 1, "c")) == "a b: 1; c"
    assert line_of(ValueError("x\ny")) == "ValueError: x y"
    assert line_of(MemoryError()) == "MemoryError"
