"""Which frames are measured."""

from __future__ import annotations

import numpy as np

from latentsync.evaluate.sampling import BURST, Bursts, SampledVideo
from latentsync.media.probe import probe
from tests.support.media_factory import make_video


def taken(seconds: float, rate: float, *, burst: int = BURST, share: float = 1.0) -> np.ndarray:
    bursts = Bursts.over(seconds, rate, burst=burst, share=share)
    return np.flatnonzero([bursts.takes(n / rate) for n in range(round(seconds * rate))])


def test_every_frame_of_a_short_video_is_measured() -> None:
    assert len(taken(20, 25)) == 500


def test_two_hours_are_measured_in_bursts_of_neighbours_all_over() -> None:
    frames = taken(7200, 25)
    assert 2000 < len(frames) < 3000
    bursts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    assert {len(one) for one in bursts} <= {BURST - 1, BURST, BURST + 1}
    assert np.diff([one[0] for one in bursts]).max() < 25 * 25
    assert frames[0] == 0 and frames[-1] > 7150 * 25


def test_a_job_has_at_most_its_share_measured() -> None:
    frames = taken(10, 25, burst=4, share=0.125)
    assert len(frames) <= 0.125 * 250 + 4
    assert (np.diff(frames) == 1).mean() > 0.7  # neighbours, so that motion can be measured


def test_frame_rates_that_are_no_whole_number_leave_no_burst_short() -> None:
    frames = taken(3600, 30000 / 1001)
    bursts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    assert min(len(one) for one in bursts) >= BURST - 1


def test_a_sampled_video_knows_all_times_and_reads_what_is_wanted(tmp_path) -> None:
    path = make_video(tmp_path / "v.mp4")
    video = SampledVideo(probe(path), lambda index, _second: index in (2, 3, 7))
    frames = list(video)
    assert len(video.seconds) == 10 and video.indices.tolist() == [2, 3, 7]
    again = list(video.shown(np.array([2, 0])))
    assert [frame.pts_seconds for frame in again] == [video.seconds[7], video.seconds[2]]
    assert np.array_equal(again[0].pixels, frames[2].pixels)
