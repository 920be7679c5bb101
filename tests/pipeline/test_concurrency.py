"""Read-ahead keeps order, bounds and errors."""

import gc
import threading
import time
import weakref
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.pipeline.concurrency import PLACE_BYTES, prefetch


@given(st.lists(st.integers()), st.integers(1, 5))
def test_prefetched_items_are_the_items_in_order(items, depth):
    assert list(prefetch(items, depth)) == items


def test_no_more_than_the_depth_is_made_ahead():
    made = []

    def source():
        for i in range(100):
            made.append(i)
            yield i

    ahead = prefetch(source(), 3)
    next(ahead)
    time.sleep(0.2)
    assert len(made) <= 1 + 3 + 1  # taken, waiting, and the one in the producer's hand
    ahead.close()


def test_an_error_comes_after_the_items_before_it():
    def source():
        yield 1
        raise OSError("disk gone")

    ahead = prefetch(source(), 4)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(ahead)


def test_stopping_early_ends_the_thread():
    before = threading.active_count()
    ahead = prefetch(iter(range(1000)), 2)
    next(ahead)
    assert threading.active_count() == before + 1
    ahead.close()
    assert threading.active_count() == before


def test_what_was_read_from_is_closed_in_its_own_thread():
    closed = []

    def source():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread())

    ahead = prefetch(source(), 2)
    next(ahead)
    ahead.close()
    assert len(closed) == 1
    assert closed[0] is not threading.current_thread()


def test_stopping_early_ends_the_threads_of_a_whole_row_of_stages():
    before = threading.active_count()
    row = prefetch(prefetch(prefetch(iter(range(1000)), 2), 2), 2)
    next(row)
    assert threading.active_count() == before + 3
    row.close()
    assert threading.active_count() == before


def test_an_error_travels_along_a_row_of_stages():
    def source():
        yield from range(5)
        raise OSError("disk gone")

    before = threading.active_count()
    row = prefetch((2 * item for item in prefetch(source(), 2)), 2)
    with pytest.raises(OSError, match="disk gone"):
        list(row)
    assert threading.active_count() == before


def test_a_stage_works_on_while_there_is_room_behind_it():
    """A queue as long as a stage's burst lets it begin the next while the first is consumed."""
    begun = []

    def bursts():
        for burst in range(2):
            begun.append(burst)
            yield from range(4)

    row = prefetch(bursts(), 4)
    assert next(row) == 0
    deadline = time.monotonic() + 5
    while len(begun) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert begun == [0, 1]
    row.close()


def test_a_taken_item_is_not_kept():
    class Item:
        pass

    def source():
        for _ in range(3):
            yield Item()

    row = prefetch(source(), 1)
    first = weakref.ref(next(row))
    next(row)
    gc.collect()
    assert first() is None
    row.close()


@dataclass(frozen=True)
class Large:
    """An item that holds that much memory."""

    nbytes: int


@pytest.mark.parametrize(("share", "queued"), [(0.5, 4), (1.0, 4), (1.5, 2), (7.0, 1)])
def test_fewer_items_are_made_ahead_where_they_are_large(share, queued):
    made = []

    def source():
        for _ in range(20):
            made.append(Large(round(share * PLACE_BYTES)))
            yield made[-1]

    ahead = prefetch(source(), 4)
    next(ahead)
    time.sleep(0.2)
    assert len(made) == 1 + queued + 1  # taken, queued, and the one in the producer's hand
    assert len(list(ahead)) == 19
