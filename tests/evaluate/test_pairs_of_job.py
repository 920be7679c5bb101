"""What is looked at of a running job, and what a measure's failure does to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from latentsync.evaluate.pair import FramePair, OfNewMouths
from latentsync.evaluate.pairs_of_job import PairsOfJob
from latentsync.evaluate.statistics import Measured
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.pipeline.stages.composite import Rendered
from latentsync.types import Box, Change, Frame
from tests.support.judged import judging_engine, talking, video_of
from tests.support.plans import plan_of

FRAMES = 6
MOUTH = Box(100, 180, 220, 300)


class Kept:
    """A measure that keeps what it gets. fails_at: its number of the pair that it fails at."""

    def __init__(self, fails_at: int = -1) -> None:
        self.pairs: list[FramePair] = []
        self._fails_at = fails_at

    def add(self, pair: FramePair) -> None:
        if len(self.pairs) == self._fails_at:
            raise ZeroDivisionError("of a measure")
        self.pairs.append(pair)

    def results(self) -> list[Measured]:
        return [Measured("kept", np.zeros(1), np.full((1, 1), len(self.pairs), float))]


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> SourceAnalysis:
    from latentsync import Session

    video = video_of(tmp_path_factory.mktemp("v") / "v.mp4", talking(FRAMES))
    with Session(judging_engine(), video) as session:
        return session.analyze()


def rendered(changed: frozenset[int]) -> Iterator[Rendered]:
    """Frames, some of them with a smeared mouth."""
    for index, pixels in enumerate(talking(FRAMES)):
        before = Frame(index, index / 25, index, pixels)
        if index not in changed:
            yield Rendered(index, before, before, None, {}, {})
            continue
        smeared = pixels.copy()
        smeared[MOUTH.y0 : MOUTH.y1, MOUTH.x0 : MOUTH.x1] //= 2
        after = replace(before, pixels=smeared)
        yield Rendered(index, before, after, MOUTH, {}, {0: Change(90, 20.0)})


def observed(
    plan: RenderPlan, kept: Kept, *, share: float = 1.0, changed: frozenset[int] = frozenset()
) -> PairsOfJob:
    with PairsOfJob(lambda _plan: [kept], share=share) as pairs:
        pairs.begin(plan, StageTimer())
        for item in rendered(changed):
            pairs.add(item)
        pairs.finish()
    return pairs


def test_pairs_say_in_which_frames_a_mouth_was_generated(analysis) -> None:
    kept = Kept()
    observed(plan_of(analysis), kept)
    assert not any(pair.new_mouth for pair in kept.pairs)
    of_track = int(analysis.alignments[0].track)
    kept = Kept()
    with PairsOfJob(lambda _plan: [kept], share=1.0) as pairs:
        pairs.begin(plan_of(analysis), StageTimer())
        for item in rendered(frozenset({2, 4})):
            change = item.restored.get(0)
            new = {of_track: change} if change and item.index == 2 else {of_track + 1: change}
            pairs.add(replace(item, generated=new if change else {}, restored={}))
        pairs.finish()
    assert [pair.index for pair in kept.pairs if pair.new_mouth] == [2]


def test_a_measure_of_new_mouths_sees_no_other_frame(analysis) -> None:
    every = Kept()
    observed(plan_of(analysis), every)
    new, measure = (1, 2, 4), OfNewMouths(kept := Kept())
    for pair in every.pairs:
        measure.add(replace(pair, new_mouth=pair.index in new))
    assert tuple(pair.index for pair in kept.pairs) == new
    # 1 and 4 have no neighbour before them that the measure has seen
    assert [pair.follows for pair in kept.pairs] == [False, True, False]


def test_frames_come_before_the_encode_with_the_faces_that_the_job_found(analysis) -> None:
    kept = Kept()
    pairs = observed(plan_of(analysis), kept, changed=frozenset({2}))
    assert [one.index for one in kept.pairs] == list(range(FRAMES))
    assert [one.follows for one in kept.pairs] == [False] + [True] * (FRAMES - 1)
    for pair, frame in zip(kept.pairs, talking(FRAMES), strict=True):
        assert np.array_equal(pair.source, frame)
        assert (pair.face is pair.source_face) == (pair.index != 2)  # the rest is not looked at
        assert np.array_equal(pair.result, frame) == (pair.index != 2)
        place = analysis.alignments[pair.index]
        assert pair.source_face is not None and place is not None
        assert np.abs(pair.source_face.landmarks - place.landmarks).max() < 4
    assert (pairs.total, pairs.measured, len(pairs.moments)) == (FRAMES, FRAMES, FRAMES)
    assert {one.name for one in pairs.results()} == {"kept", "outside_equal"}


def test_a_jump_and_a_cut_are_no_motion(analysis) -> None:
    plan, kept = plan_of(analysis), Kept()
    jumps = plan.jumps.copy()
    jumps[4] = True
    cuts = analysis.cuts.copy()
    cuts[2] = True
    observed(replace(plan, jumps=jumps, analysis=replace(analysis, cuts=cuts)), kept)
    assert [one.follows for one in kept.pairs] == [False, True, False, True, False, True]


def test_a_failing_measure_is_heard_of_at_the_end_and_the_job_goes_on(analysis) -> None:
    kept = Kept(fails_at=1)
    pairs = observed(plan_of(analysis), kept)
    with pytest.raises(ZeroDivisionError):
        pairs.results()
    assert len(kept.pairs) == 1


def test_leaving_it_stops_its_thread(analysis) -> None:
    with pytest.raises(KeyboardInterrupt), PairsOfJob(lambda _plan: [Kept()]) as pairs:
        pairs.begin(plan_of(analysis), StageTimer())
        pairs.add(next(rendered(frozenset())))
        thread = pairs._thread
        raise KeyboardInterrupt
    assert thread is not None and not thread.is_alive()


def test_its_time_is_a_stage_of_its_own(analysis) -> None:
    timer = StageTimer()
    with PairsOfJob(lambda _plan: [Kept()], share=1.0) as pairs:
        pairs.begin(plan_of(analysis), timer)
        for item in rendered(frozenset()):
            pairs.add(item)
        pairs.finish()
    assert timer.work[Stage.EVALUATE].frames == FRAMES
