"""Read-ahead keeps order, bounds and errors."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.pipeline.stream import prefetch


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
