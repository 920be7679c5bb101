"""Files are not probed twice: how often each is opened for one output."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.media.audio.reader import AudioReader
from latentsync.media.indexed import IndexedReader
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader, sample_frames
from latentsync.media.settings import NewAudio
from latentsync.media.target import check_target
from latentsync.media.writer import VideoWriter
from tests.support.copying import QUICK
from tests.support.dubbing import two_track_video, write_wav
from tests.support.media_factory import Tone, make_audio, make_video


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often av.open was given each file that is there, by its name."""
    count: Counter[str] = Counter()
    real = av.open

    def counting(file, mode="r", *args, **kwargs):
        if isinstance(file, str) and mode == "r":
            count[Path(file).name] += 1
        return real(file, mode, *args, **kwargs)

    monkeypatch.setattr(av, "open", counting)
    return count


def written(source: VideoInfo, target: Path, audio: NewAudio | None = None) -> None:
    plan = check_target(target, source, QUICK, audio)
    with VideoWriter(target, source, QUICK, audio=audio, plan=plan) as writer:
        for frame in VideoReader(source):
            writer.write(frame)


@pytest.mark.parametrize("name", ["new.wav", "new.m4a"], ids=["encoded", "copied"])
def test_a_video_with_new_audio_opens_each_file_twice(
    tmp_path: Path, opened: Counter[str], name: str
) -> None:
    source, audio = two_track_video(tmp_path), tmp_path / name
    write_wav(audio) if name.endswith("wav") else make_audio(audio)
    opened.clear()
    written(probe(source), tmp_path / "b.mp4", NewAudio(audio))
    # the video: its info, its frames; the audio: its info and whether it fits, its samples
    assert opened == {source.name: 2, name: 2}


@pytest.mark.parametrize(("codec", "kind"), [("aac", ".mp4"), ("pcm_s16le", ".mkv")])
def test_a_video_with_its_own_audio_is_opened_four_times(
    tmp_path: Path, opened: Counter[str], codec: str, kind: str
) -> None:
    source = make_video(tmp_path / f"a{kind}", audio=[Tone(0.4, codec=codec)])
    opened.clear()
    written(probe(source), tmp_path / "b.mp4")
    assert opened == {source.name: 4}  # info, whether its audio fits, frames, audio


def test_readers_use_the_probed_info(tmp_path: Path, opened: Counter[str]) -> None:
    path = make_video(tmp_path / "a.mp4", audio=[Tone(0.4)])
    info = probe(path)
    opened.clear()
    reader, indexed, audio = VideoReader(info), IndexedReader(info, [3, 1]), AudioReader(info)
    assert not opened
    assert reader.info is info and indexed.info is info and audio.info.index == 1
    frames = [frame.pixels for frame in reader]
    assert opened == {"a.mp4": 1} and len(frames) == 10
    for found, index in zip(indexed, (3, 1), strict=True):
        assert np.array_equal(found.pixels, frames[index])
    opened.clear()
    (samples,) = audio
    assert opened == {"a.mp4": 1}
    assert np.array_equal(samples, next(iter(AudioReader(path))))
    opened.clear()
    assert [frame.pts for frame in sample_frames(info, 2)] == [
        frame.pts for frame in sample_frames(path, 2)
    ]
    assert opened == {"a.mp4": 3}  # one more where the path was given


def test_described_audio_is_not_described_again(tmp_path: Path, opened: Counter[str]) -> None:
    audio = make_audio(tmp_path / "a.m4a")
    info = AudioReader(audio).info
    opened.clear()
    assert AudioReader(info).info is info and not opened
    source = probe(make_video(tmp_path / "a.mp4"))
    plan = check_target(tmp_path / "b.mp4", source, QUICK, NewAudio(audio, info=info))
    assert plan.tracks[0].audio is info


def test_samples_of_a_video_without_a_duration_do_not_probe_it_again(
    tmp_path: Path, opened: Counter[str]
) -> None:
    info = probe(make_video(tmp_path / "a.h264"))
    assert not info.duration_seconds
    opened.clear()
    assert len(list(sample_frames(info, 3))) == 1
    assert opened == {"a.h264": 1}
