"""A few frames spread over a video, without decoding all of it."""

from __future__ import annotations

import pytest

from latentsync.errors import MediaError
from latentsync.media.reader import VideoReader, sample_frames
from tests.support.media_factory import make_video, moving_pattern


@pytest.fixture(params=["one key frame", "many key frames"])
def video(request, tmp_path):
    gop = "250" if request.param == "one key frame" else "5"
    options = {"g": gop, "bf": "2", "crf": "10"}
    return make_video(tmp_path / "a.mp4", moving_pattern(96, 64, 80), options=options)


@pytest.mark.parametrize("count", [1, 4, 8])
def test_each_part_of_the_video_gives_one_frame(video, count):
    samples = list(sample_frames(video, count))
    assert [frame.index for frame in samples] == list(range(count))
    part = 80 / 25 / count
    for number, frame in enumerate(samples):
        assert number * part <= frame.pts_seconds < (number + 1) * part


def test_a_sample_equals_the_frame_at_its_time(video):
    by_time = {frame.pts: frame.pixels for frame in VideoReader(video)}
    for frame in sample_frames(video, 5):
        assert (frame.pixels == by_time[frame.pts]).all()


def test_a_video_shorter_than_the_samples_gives_each_frame_at_most_once(tmp_path):
    video = make_video(tmp_path / "short.mp4", moving_pattern(96, 64, 3))
    times = [frame.pts for frame in sample_frames(video, 8)]
    assert times == sorted(set(times))
    assert 1 <= len(times) <= 3


def test_a_file_that_is_not_a_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(MediaError):
        list(sample_frames(tmp_path / "a.mp4", 2))
