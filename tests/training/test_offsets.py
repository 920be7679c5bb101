"""Videos that are aligned for a trial, and how far lips and audio are apart in clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.media.reader import VideoReader
from latentsync.settings.load import load_config
from latentsync.training.data.aligning import aligned_clips
from latentsync.training.data.clip import as_faces, clip_facts, read_samples, read_windows
from latentsync.training.data.listing import Clip
from latentsync.training.offsets import measure_offsets
from tests.support.clips import make_clip, with_audio
from tests.support.media_factory import Tone, make_video
from tests.support.portrait import DEMO

SIDE = 192


def test_a_video_is_aligned_once_and_can_be_trained_on(tmp_path: Path) -> None:
    frames = (frame.pixels for frame in VideoReader(DEMO, stop=30))
    video = Clip("demo", make_video(tmp_path / "demo.mp4", frames, audio=[Tone(1.2)]))
    (clip,) = aligned_clips([video], SIDE, tmp_path)
    before = clip.path.stat().st_mtime_ns
    assert aligned_clips([video], SIDE, tmp_path) == [clip]
    assert clip.path.stat().st_mtime_ns == before
    facts = clip_facts(clip.path)
    assert (facts.frames, facts.side) == (30, SIDE)
    (windows,) = read_windows(clip.path, [0], 30)
    # The lips lie at rows 0.57 to 0.71 of the crop, see face.masks; they move most.
    moved = as_faces(windows, SIDE).std(dim=0).mean(dim=(0, 2)).numpy()
    lips = slice(round(0.55 * SIDE), round(0.75 * SIDE))
    assert moved[lips].mean() > 1.5 * moved[: round(0.2 * SIDE)].mean()
    assert len(read_samples(clip.path)) == pytest.approx(1.2 * 16000, abs=1100)


def test_the_lag_of_shifted_audio_is_found_without_weights(tmp_path: Path) -> None:
    early = np.roll(read_samples(DEMO), -8 * 640)
    video = with_audio(DEMO, tmp_path / "early.mp4", early)
    found = measure_offsets([("early", video)], evaluation_engine(load_config()), None)
    assert found.clips == () and found.failed == {}
    assert found.lag_ms == pytest.approx(320, abs=110)  # the audio is 8 frames ahead


def test_a_clip_without_a_face_is_left_out_and_named(tmp_path: Path) -> None:
    engine = evaluation_engine(load_config())
    found = measure_offsets([("grey", make_clip(tmp_path / "grey.mp4", 20))], engine, None)
    assert list(found.failed) == ["grey"] and np.isnan(found.lag_ms)


def test_a_video_without_a_face_cannot_be_aligned(tmp_path: Path) -> None:
    frames = (frame.pixels[:64, :96] for frame in VideoReader(DEMO, stop=10))
    path = make_video(tmp_path / "corner.mp4", frames, audio=[Tone(0.4)])
    with pytest.raises(MediaError, match="face"):
        aligned_clips([Clip("corner", path)], SIDE, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.mp4"))
