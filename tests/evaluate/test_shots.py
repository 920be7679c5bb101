"""Pictures of a result beside its source: which moments, and exactly these frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.evaluate import shots
from latentsync.evaluate.pairs_of_files import PairsOfFiles
from latentsync.evaluate.shots import EVENLY, Moment, chosen_moments, read_shots
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.seeking import frames_at
from latentsync.types import Box
from tests.support.judged import blurred, judging_engine, talking, video_of
from tests.support.media_factory import make_video, moving_pattern

MOUTH = Box(20, 20, 60, 40)


def figure(title: str, *worst: tuple[float, float]) -> dict:
    return {"title": title, "unit": "px", "worst": [list(one) for one in worst]}


def evaluation(seconds: float, *figures: dict) -> dict:
    return {"result": {"seconds": seconds}, "figures": dict(enumerate(figures))}


def test_the_worst_moments_of_each_figure_come_first_and_some_lie_anywhere() -> None:
    many = [figure(f"f{n}", (10 + 7 * n, 1), (300 + 7 * n, 0.5)) for n in range(12)]
    chosen = chosen_moments(evaluation(600.0, *many))
    whys = [why for _, why in chosen]
    assert len(chosen) == 24 and [second for second, _ in chosen] == sorted(s for s, _ in chosen)
    assert sum(why == EVENLY for why in whys) == 8
    assert all(f"f{n}: 1 px" in whys for n in range(12))  # the worst of each


def test_two_figures_with_one_worst_moment_share_a_picture() -> None:
    chosen = chosen_moments(evaluation(60, figure("a", (5.0, 1)), figure("b", (5.2, 2))))
    assert (5.0, "a: 1 px; b: 2 px") in chosen
    assert len(chosen) == 9


def test_a_moment_that_is_the_worst_of_many_names_a_few() -> None:
    chosen = chosen_moments(evaluation(60, *(figure(name, (5.0, 1)) for name in "abcde")))
    assert (5.0, "a: 1 px; b: 1 px; c: 1 px; and 2 more") in chosen


def test_a_very_short_video_has_few() -> None:
    assert len(chosen_moments(evaluation(0.4))) == 1


def test_shots_are_the_frames_that_were_measured_at_those_moments(tmp_path: Path) -> None:
    frames = talking(6)
    source = video_of(tmp_path / "s.mp4", frames)
    result = video_of(tmp_path / "r.mp4", frames, blurred)
    pairs = PairsOfFiles(judging_engine(), result, source)
    landmarks = [one.face.landmarks for one in pairs if one.face is not None]
    made = read_shots(probe(result), source, [(0.04, "a"), (0.05, "b"), (0.2, "c")], pairs.moments)
    assert [(one.index, one.why) for one in made] == [(1, "a; b"), (5, "c")]
    for shot in made:
        assert shot.before is not None
        for seen, frame in (
            (shot.before, frames[shot.index]),
            (shot.after, blurred(frames[shot.index])),
        ):
            assert np.abs(seen.astype(int) - frame).mean() < 1.5
        lips = landmarks[shot.index][6:10]
        box = shot.mouth
        assert (lips >= [box.x0, box.y0]).all() and (lips <= [box.x1, box.y1]).all()


def test_tall_frames_are_scaled_and_the_mouth_with_them(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", moving_pattern(96, 1440, 2))
    (shot,) = read_shots(path, None, [(0.0, "")], [Moment(1, 0.04, None, MOUTH)])
    assert shot.after.shape == (720, 48, 3) and shot.before is None
    assert shot.mouth == Box(10, 10, 30, 20)


@pytest.mark.parametrize("kind", ["v.mp4", "v.ts", "v.mkv"])
def test_seeking_finds_the_very_frames(tmp_path: Path, kind: str) -> None:
    options = {"crf": "10", "g": "12", "bf": "2", "preset": "ultrafast"}
    path = make_video(tmp_path / kind, moving_pattern(count=60), options=options)
    frames = list(VideoReader(path))
    wanted = [0, 1, 11, 12, 13, 25, 47, 59]
    found = frames_at(probe(path), [frames[n].pts_seconds for n in wanted])
    for number, frame in zip(wanted, found, strict=True):
        assert frame is not None and np.array_equal(frame.pixels, frames[number].pixels)


def test_long_videos_are_sought_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "v.mp4", moving_pattern(count=30))
    seen = [Moment(n, n / 25, None, MOUTH) for n in (3, 20)]
    decoded = read_shots(path, None, [(0.12, ""), (0.8, "")], seen)
    monkeypatch.setattr(shots, "DECODED", 0)
    sought = read_shots(path, None, [(0.12, ""), (0.8, "")], seen)
    assert [one.index for one in sought] == [3, 20]
    assert all(np.array_equal(a.after, b.after) for a, b in zip(decoded, sought, strict=True))
