"""The timer knows what each stage did and what it waited for, whichever threads they ran in."""

import threading
import time

import pytest

from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.stage_timer import Stage, StageTimer, Work

SOON = 0.0625  # seconds; a power of two, so that sums are exact


@pytest.fixture
def sleep(monkeypatch):
    """A fake clock that only sleep() advances."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def pass_by(seconds):
        now[0] += seconds

    return pass_by


def test_a_stage_is_busy_while_its_block_runs(sleep):
    timer = StageTimer()
    for _ in range(2):
        with timer.stage(Stage.ENCODE, frames=3):
            sleep(SOON)
    sleep(SOON)
    assert timer.work["encode"].busy == 2 * SOON
    assert timer.work["encode"].frames == 6


def test_a_stage_that_fails_was_busy_as_well():
    timer = StageTimer()
    with pytest.raises(OSError), timer.stage(Stage.ENCODE):
        time.sleep(SOON)
        raise OSError("disk gone")
    assert timer.seconds["encode"] >= SOON


def test_making_an_item_counts_and_using_it_does_not(sleep):
    def source():
        for i in range(3):
            sleep(SOON)
            yield i

    timer = StageTimer()
    for _ in timer.timed(Stage.DECODE, source()):
        sleep(2 * SOON)
    assert timer.seconds["decode"] == 3 * SOON


def test_a_slow_stage_leaves_the_one_before_without_room():
    timer = StageTimer()
    for _ in linked(range(6), Stage.DECODE, Stage.DETECT, 1, timer=timer):
        time.sleep(SOON)
    work = timer.work
    assert work["decode"].for_room > 2 * SOON
    assert work["detect"].for_input < work["decode"].for_room
    assert work["decode"].frames == 6


def test_a_slow_stage_leaves_the_one_behind_without_input():
    def source():
        for i in range(6):
            time.sleep(SOON)
            yield i

    timer = StageTimer()
    assert list(linked(source(), Stage.DECODE, Stage.DETECT, 1, timer=timer)) == list(range(6))
    work = timer.work
    assert work["detect"].for_input > 4 * SOON
    assert work["decode"].for_room < work["detect"].for_input


def test_stages_that_overlap_are_busy_for_longer_than_it_took():
    timer = StageTimer()

    def stage(name, items):
        for item in items:
            with timer.stage(name):
                time.sleep(SOON)
            yield item

    begin = time.perf_counter()
    first = linked(stage(Stage.DECODE, range(8)), Stage.DECODE, Stage.DETECT, 2, timer=timer)
    for _ in stage(Stage.DETECT, first):
        pass
    took = time.perf_counter() - begin
    assert sum(timer.seconds.values()) > 1.3 * took


def test_no_second_is_lost_between_threads():
    timer = StageTimer()

    def work():
        for _ in range(2000):
            timer.handed_on(Stage.DETECT)(1.0)
            timer.for_input(Stage.DETECT)(2.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert timer.work == {"detect": Work(0.0, 16000.0, 8000.0, 8000)}


def test_a_copy_of_the_timer_s_work_does_not_change():
    timer = StageTimer()
    with timer.stage(Stage.DECODE):
        pass
    before = timer.work
    with timer.stage(Stage.DECODE, frames=1):
        pass
    assert before["decode"].frames == 0
