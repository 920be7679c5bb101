"""What is kept of a video that is rendered in segments is used only where it is whole and fits."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.jobs.failures import again_in
from latentsync.media.segment_file import Segment
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from latentsync.pipeline.stage_timer import Work
from latentsync.restoration.warping_error import Flicker
from tests.support.plans import alignment_of, analysis_of, plan_of

IDENTITY = {"source": "a", "settings": "b"}
BORDERS = [(0, 20), (20, 50)]
DECIDED = {"people": {"found": 1}}


def new_plan():
    return plan_of(analysis_of([alignment_of(0)] * 50))


def blank(plan):
    return [Outcome.of(plan)], SimpleNamespace(boxes=np.zeros((50, 4), np.int32))


@pytest.fixture
def folder(tmp_path: Path) -> SegmentFolder:
    """Segment 1 of two is done."""
    made = SegmentFolder(folder_of(tmp_path / "out.mp4"), IDENTITY)
    plan = new_plan()
    made.begin(plan, BORDERS, DECIDED)
    made.file(1, 0).write_bytes(b"frames")
    (outcome,), marks = blank(plan)
    outcome.largest[20:50], outcome.reused = 7, 3
    outcome.flicker[0] = Flicker(2, 1.0, 2.0, 3.0, 4.0)
    marks.boxes[20:50] = 1, 2, 3, 4
    done = Segment(made.file(1, 0), 30, 2, 6)
    made.keep(1, [done], [outcome], marks, {"restore": Work(busy=1.5, frames=30)}, 2.0)
    return made


def again(folder: SegmentFolder, **changes: str) -> SegmentFolder:
    return SegmentFolder(folder.path, {**IDENTITY, **changes})


def test_a_later_run_finds_the_plan_and_what_was_made(folder: SegmentFolder) -> None:
    later = again(folder)
    plan = later.open()
    assert plan is not None and len(plan) == 50
    assert later.borders == BORDERS and later.decided == DECIDED
    (outcome,), marks = blank(plan)
    assert later.kept(0, [outcome], marks) is None
    kept = later.kept(1, [outcome], marks)
    assert kept is not None and kept.segments == [Segment(folder.file(1, 0), 30, 2, 6)]
    assert kept.work == {"restore": Work(busy=1.5, frames=30)} and kept.seconds == 2
    assert outcome.largest.tolist() == [0] * 20 + [7] * 30
    assert outcome.reused == 3 and outcome.flicker == {0: Flicker(2, 1.0, 2.0, 3.0, 4.0)}
    assert marks.boxes[20].tolist() == [1, 2, 3, 4] and not marks.boxes[:20].any()


def test_work_of_other_settings_is_made_again_which_is_said(
    folder: SegmentFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert again(folder, settings="other").open() is None
    assert "the settings changed since the last run" in caplog.text
    assert not folder.path.exists()


def test_a_segment_whose_file_is_damaged_is_made_again(folder: SegmentFolder) -> None:
    folder.file(1, 0).write_bytes(b"Frames")
    later = again(folder)
    assert later.kept(1, *blank(later.open())) is None


def test_a_run_that_ended_while_the_folder_was_made_is_begun_again(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "out.mp4")
    path.mkdir()
    assert SegmentFolder(path, IDENTITY).open() is None
    SegmentFolder(path, IDENTITY).begin(new_plan(), BORDERS, DECIDED)
    (path / "plan.npz").unlink()
    assert SegmentFolder(path, IDENTITY).open() is None


def test_a_folder_of_somebody_else_is_refused_and_stays(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "out.mp4")
    path.mkdir()
    (path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(MediaError, match="not a folder of segments"):
        SegmentFolder(path, IDENTITY).open()
    assert (path / "holiday.jpg").exists()


def test_what_somebody_put_into_the_folder_outlives_it(folder: SegmentFolder) -> None:
    (folder.path / "notes.txt").write_bytes(b"x")
    folder.remove()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_two_runs_do_not_work_on_one_output(folder: SegmentFolder) -> None:
    with (
        folder.held(),
        pytest.raises(MediaError, match="another run works on this output"),
        again(folder).held(),
    ):
        pass
    folder.remove()
    with again(folder).held():
        pass
    assert not locks(folder)


def locks(folder: SegmentFolder) -> list[Path]:
    return [path for path in folder.path.parent.iterdir() if path.suffix == ".lock"]


def test_workers_share_an_output_that_a_run_by_itself_is_kept_from(folder: SegmentFolder) -> None:
    with folder.held(shared=True), again(folder).held(shared=True):
        with (
            pytest.raises(MediaError, match="another run works on this output"),
            again(folder).held(),
        ):
            pass
        folder.remove()  # by the worker that has finished it; the other one goes on
        assert locks(folder)
    assert not locks(folder)


def test_a_worker_may_wait_for_a_run_by_itself(folder: SegmentFolder) -> None:
    with (
        folder.held(),
        pytest.raises(MediaError, match="another run works") as refused,
        again(folder).held(shared=True),
    ):
        pass
    assert again_in(refused.value, 1) is not None
