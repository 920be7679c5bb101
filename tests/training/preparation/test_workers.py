"""A task that kills its process, or fails, stops no other."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from latentsync.errors import CheckpointError, ConfigError, MediaError
from latentsync.training.preparation.failures import stops_all, writing
from latentsync.training.preparation.workers import Advanced, Done, work_on
from tests.support.small_work import Broken, Filling, Squares


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


def test_a_full_disk_ends_the_run_and_not_each_task() -> None:
    events = []
    with pytest.raises(MediaError, match="No space left on device: make room"):
        for event in work_on([1, 2, 3], 1, Filling()):
            events.append(event)
    assert [event.task for event in events] == [1]


def test_what_each_source_would_meet_stops_all() -> None:
    assert stops_all(CheckpointError("damaged", "x.pt", "get it again"))
    assert not stops_all(MediaError("damaged", "x.mp4", "play it"))
    for number, all_of_them in ((errno.ENOSPC, True), (errno.EACCES, False)):
        with pytest.raises(MediaError) as raised, writing("a clip", Path("x")):
            raise OSError(number, "why")
        assert stops_all(raised.value) == all_of_them
