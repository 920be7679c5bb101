"""Which frames of two files are laid beside each other, and the faces in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.evaluate.pairs_of_files import PairsOfFiles, has_new_mouth
from tests.support.judged import blurred, judging_engine, talking, video_of

COUNT = 6


def report_of(result: Path, sources: list[int] | None, total: int) -> dict:
    """As much of a job's report as counts here."""
    return {
        "output": {"path": str(result)},
        "frames": {"total": total, "generated": total},
        "spans_seconds": {"generated": [[0.0, 60.0]]},
        "per_frame": {"source": sources},
        "settings": {"restore": {"region": "mouth"}},
        "speaker": {"chosen_by": ["largest"]},
    }


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_frames_of_equal_time_are_pairs_and_both_faces_are_seen(tmp_path: Path) -> None:
    source = video_of(tmp_path / "s.mp4", talking(COUNT))
    result = video_of(tmp_path / "r.mp4", talking(COUNT), blurred)
    pairs = PairsOfFiles(judging_engine(), result, source)
    found = list(pairs)
    assert [one.index for one in found] == list(range(COUNT))
    assert [one.follows for one in found] == [False] + [True] * (COUNT - 1)
    for number, pair in enumerate(found):
        assert pair.source is not None and pair.face is not None and pair.source_face is not None
        assert difference(pair.source, talking(COUNT)[number]) < 1.5
        assert difference(pair.result, pair.source) > 1.5  # it is blurred
        assert pair.face.mesh is not None and pair.face.mesh.shape == (468, 2)
        assert np.abs(pair.face.landmarks - pair.source_face.landmarks).max() < 4
    assert (pairs.total, pairs.measured, pairs.misfits) == (COUNT, COUNT, 0)
    assert pairs.without_source is None


def test_a_result_that_bounces_is_paired_as_its_report_says(tmp_path: Path) -> None:
    frames, order = talking(COUNT), [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1]
    source = video_of(tmp_path / "s.mp4", frames)
    result = video_of(tmp_path / "r.mp4", [frames[n] for n in order])
    report = report_of(result, order, len(order))
    pairs = PairsOfFiles(judging_engine(), result, source, report=report)
    found = list(pairs)
    assert [one.source and one.source[0] for one in pairs.moments] == order
    assert all(
        pair.source is not None and difference(pair.source, frames[n]) < 1.5
        for pair, n in zip(found, order, strict=True)
    )


def test_a_result_of_another_rate_is_paired_with_the_frame_shown_then(tmp_path: Path) -> None:
    frames = talking(8)
    source = video_of(tmp_path / "s.mp4", frames, rate=50)
    result = video_of(tmp_path / "r.mp4", frames[::2], rate=25)
    found = list(PairsOfFiles(judging_engine(), result, source))
    assert len(found) == 4
    assert all(
        pair.source is not None and difference(pair.source, frame) < 1.5
        for pair, frame in zip(found, frames[::2], strict=True)
    )


def test_a_larger_result_gets_its_source_enlarged(tmp_path: Path) -> None:
    source = video_of(tmp_path / "s.mp4", talking(2))
    result = video_of(tmp_path / "r.mp4", talking(2), lambda p: p.repeat(2, 0).repeat(2, 1))
    pair = next(iter(PairsOfFiles(judging_engine(), result, source)))
    assert pair.source is not None and pair.source.shape == pair.result.shape
    assert pair.face is not None and pair.source_face is not None
    apart = np.linalg.norm(pair.face.landmarks - pair.source_face.landmarks, axis=1)
    assert apart.max() < 4  # of a face that is 400 pixels wide


@pytest.mark.parametrize("what", ["mirrored", "of another shape"])
def test_a_source_that_does_not_fit_is_no_source(tmp_path: Path, what: str) -> None:
    def change(pixels: np.ndarray) -> np.ndarray:
        if what == "mirrored":
            return np.ascontiguousarray(255 - pixels[::-1])
        return np.ascontiguousarray(pixels[:, :300])

    result = video_of(tmp_path / "r.mp4", talking(2))
    other = video_of(tmp_path / "s.mp4", talking(2), change)
    pairs = PairsOfFiles(judging_engine(), result, other)
    found = list(pairs)
    assert all(one.source is None and one.face is not None for one in found)
    assert pairs.without_source is not None
    assert ("shapes" if what == "of another shape" else "do not fit") in pairs.without_source


def test_moments_of_the_source_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    frames = talking(4)
    moved = [*frames[:2], *(np.roll(one, 60, axis=1) for one in frames[2:])]
    source = video_of(tmp_path / "s.mp4", frames)
    pairs = PairsOfFiles(judging_engine(), video_of(tmp_path / "r.mp4", moved), source)
    assert [one.source is not None for one in pairs] == [True, True, False, False]
    assert pairs.misfits == 2 and pairs.without_source is None


def test_without_a_source_faces_are_found_in_the_result(tmp_path: Path) -> None:
    result = video_of(tmp_path / "r.mp4", talking(2))
    pairs = PairsOfFiles(judging_engine(), result)
    assert all(one.source is None and one.face is not None for one in pairs)
    assert pairs.without_source is None and pairs.measured == 2


def test_the_report_says_in_which_frames_a_mouth_was_generated() -> None:
    report = {
        "frames": {"generated": 30},
        "spans_seconds": {"generated": [[0.0, 0.4], [1.0, 1.72]]},
    }
    found = [has_new_mouth(report, seconds) for seconds in (0.0, 0.4, 0.44, 0.96, 1.0, 1.72, 1.76)]
    assert found == [True, True, False, False, True, True, False]
    assert has_new_mouth(None, 5.0)
    assert has_new_mouth({"frames": {"generated": 0}}, 5.0)  # a restoration: every frame counts
