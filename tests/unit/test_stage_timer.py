"""The clock knows what each stage did and what it waited for, whichever threads they ran in."""

import threading
import time

import pytest

from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.stage_timer import StageTimer, Work

SOON = 0.0625  # seconds; a power of two, so that sums are exact


@pytest.fixture
def sleep(monkeypatch):
    """Time that passes when it is told to, and not otherwise."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def pass_by(seconds):
        now[0] += seconds

    return pass_by


def test_a_stage_is_busy_while_its_block_runs(sleep):
    clock = StageTimer()
    for _ in range(2):
        with clock.stage("encode", frames=3):
            sleep(SOON)
    sleep(SOON)
    assert clock.work["encode"].busy == 2 * SOON
    assert clock.work["encode"].frames == 6


def test_a_stage_that_fails_was_busy_as_well():
    clock = StageTimer()
    with pytest.raises(OSError), clock.stage("encode"):
        time.sleep(SOON)
        raise OSError("disk gone")
    assert clock.seconds["encode"] >= SOON


def test_making_an_item_counts_and_using_it_does_not(sleep):
    def source():
        for i in range(3):
            sleep(SOON)
            yield i

    clock = StageTimer()
    for _ in clock.timed("decode", source()):
        sleep(2 * SOON)
    assert clock.seconds["decode"] == 3 * SOON


def test_a_slow_stage_leaves_the_one_before_without_room():
    clock = StageTimer()
    for _ in linked(range(6), "fast", "slow", 1, clock=clock):
        time.sleep(SOON)
    work = clock.work
    assert work["fast"].for_room > 2 * SOON
    assert work["slow"].for_input < work["fast"].for_room
    assert work["fast"].frames == 6


def test_a_slow_stage_leaves_the_one_behind_without_input():
    def source():
        for i in range(6):
            time.sleep(SOON)
            yield i

    clock = StageTimer()
    assert list(linked(source(), "slow", "fast", 1, clock=clock)) == list(range(6))
    work = clock.work
    assert work["fast"].for_input > 4 * SOON
    assert work["slow"].for_room < work["fast"].for_input


def test_stages_that_overlap_are_busy_for_longer_than_it_took():
    clock = StageTimer()

    def stage(name, items):
        for item in items:
            with clock.stage(name):
                time.sleep(SOON)
            yield item

    begin = time.perf_counter()
    first = linked(stage("first", range(8)), "first", "second", 2, clock=clock)
    for _ in stage("second", first):
        pass
    took = time.perf_counter() - begin
    assert sum(clock.seconds.values()) > 1.3 * took


def test_no_second_is_lost_between_threads():
    clock = StageTimer()

    def work():
        for _ in range(2000):
            clock.handed_on("stage")(1.0)
            clock.for_input("stage")(2.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.work == {"stage": Work(0.0, 16000.0, 8000.0, 8000)}


def test_what_the_clock_has_told_does_not_change():
    clock = StageTimer()
    with clock.stage("decode"):
        pass
    told = clock.work
    with clock.stage("decode", frames=1):
        pass
    assert told["decode"].frames == 0
