"""A task that kills its process, or fails, stops no other."""

from __future__ import annotations

import pytest

from latentsync.errors import ConfigError, MediaError
from latentsync.training.preparation.workers import Advanced, Done, work_on
from tests.support.small_work import Broken, Squares


def test_every_task_ends_once_whatever_happens() -> None:
    events = list(work_on([1, 2, 3, 4], 1, Squares()))
    done = {event.task: event for event in events if isinstance(event, Done)}
    assert [one.task for one in events if isinstance(one, Done)] == [1, 2, 3, 4]
    assert (done[1].result, done[4].result) == (1, 16)
    assert "killed by signal 9" in str(done[2].error)
    assert isinstance(done[3].error, MediaError)
    assert [one.seconds for one in events if isinstance(one, Advanced)] == [1.0, 1.0]


def test_what_no_process_can_do_is_raised() -> None:
    with pytest.raises(ConfigError, match="get them"):
        list(work_on([1], 1, Broken()))
