"""Speeches that are placed in time: for one speaker, and mixed into the soundtrack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.media.audio import mix
from latentsync.media.audio.mix import (
    FADE,
    MixedSpeech,
    PlacedAudio,
    audio_seconds,
    spoken_spans,
    union,
    write_soundtrack,
)
from latentsync.media.audio.reader import SAMPLE_RATE, AudioReader, read_audio
from latentsync.media.probe import VideoInfo, probe
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern

EDGE = round(2 * FADE * SAMPLE_RATE)


@pytest.fixture
def low(tmp_path) -> Path:
    return make_audio(tmp_path / "low.wav", Tone(2.0, 200, codec="pcm_s16le", rate=SAMPLE_RATE))


@pytest.fixture
def high(tmp_path) -> Path:
    return make_audio(tmp_path / "high.wav", Tone(1.5, 900, codec="pcm_s16le", rate=SAMPLE_RATE))


def whole(placed: list[PlacedAudio], seconds: float) -> np.ndarray:
    return np.concatenate(list(MixedSpeech(placed, seconds)))


def part(samples: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Without the fades."""
    return samples[round(start * SAMPLE_RATE) + EDGE : round(stop * SAMPLE_RATE) - EDGE]


def test_a_speech_is_heard_in_its_place_and_nowhere_else(low):
    samples = whole([PlacedAudio(low, 1.0, 1.8, 0.5)], 3.0)
    assert len(samples) == 3 * SAMPLE_RATE
    assert not samples[:SAMPLE_RATE].any() and not samples[round(1.8 * SAMPLE_RATE) :].any()
    np.testing.assert_array_equal(part(samples, 1.0, 1.8), part(read_audio(low), 0.5, 1.3))


def test_speeches_that_overlap_are_added(low, high):
    both = whole([PlacedAudio(low, 0.0, 2.0), PlacedAudio(high, 0.5, 2.0)], 2.0)
    wanted = part(read_audio(low), 0.5, 2.0) + part(read_audio(high), 0.0, 1.5)
    np.testing.assert_allclose(part(both, 0.5, 2.0), wanted, atol=1e-6)


def test_it_can_be_read_twice_and_in_any_blocks(low, monkeypatch):
    placed = [PlacedAudio(low, 0.3, 1.9, 0.1)]
    speech = MixedSpeech(placed, 2.5)
    first, again = (np.concatenate(list(speech)) for _ in range(2))
    monkeypatch.setattr(mix, "BLOCK_SECONDS", 1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, whole(placed, 2.5))


def test_a_speech_that_ends_early_is_followed_by_silence(high):
    samples = whole([PlacedAudio(high, 0.0, 3.0)], 3.0)
    assert part(samples, 0.0, 1.5).any() and not part(samples, 1.5, 3.0).any()


def test_where_nobody_speaks_the_video_is_heard(low, tmp_path):
    video = probe(make_video(tmp_path / "a.mkv", moving_pattern(count=75), audio=[Tone(3.0, 440)]))
    write_soundtrack([PlacedAudio(low, 1.0, 2.0)], video, 3.0, tmp_path / "mix.wav")
    mixed, own = read_audio(tmp_path / "mix.wav"), read_audio(video.path)
    assert len(mixed) == 3 * SAMPLE_RATE
    for start, stop in ((0.0, 1.0), (2.0, 2.9)):
        ours, theirs = part(mixed, start, stop), part(own, start, stop)
        assert np.corrcoef(ours, theirs)[0, 1] > 0.999
        assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.01), "as loud as in the video"
    spoken = part(read_audio(low), 0.0, 1.0)
    assert np.abs(part(mixed, 1.0, 2.0) - spoken).max() < 0.02


def test_a_silent_video_gets_the_speech_alone(low, tmp_path):
    video = probe(make_video(tmp_path / "a.mp4", moving_pattern(count=50)))
    write_soundtrack([PlacedAudio(low, 0.5, 1.5)], video, 2.0, tmp_path / "mix.wav")
    mixed = read_audio(tmp_path / "mix.wav")
    assert not part(mixed, 0.0, 0.5).any() and part(mixed, 0.5, 1.5).any()


def test_the_length_is_that_of_what_can_be_decoded(low):
    assert audio_seconds(low) == pytest.approx(2.0, abs=0.001)


@pytest.fixture
def silence(tmp_path) -> Path:
    return make_audio(tmp_path / "none.wav", Tone(2.0, 0, codec="pcm_s16le", rate=SAMPLE_RATE))


@pytest.fixture
def loud_video(tmp_path) -> VideoInfo:
    return probe(make_video(tmp_path / "a.mkv", moving_pattern(count=75), audio=[Tone(3.0, 440)]))


@pytest.mark.parametrize("gap", [0.0, 0.001, 1.5 * FADE])
def test_the_video_is_not_heard_between_two_speeches_that_touch(silence, loud_video, tmp_path, gap):
    placed = [PlacedAudio(silence, 0.5, 1.5), PlacedAudio(silence, 1.5 + gap, 2.5)]
    write_soundtrack(placed, loud_video, 3.0, tmp_path / "mix.wav")
    spoken = read_audio(tmp_path / "mix.wav")[round(0.5 * SAMPLE_RATE) : round(2.5 * SAMPLE_RATE)]
    assert np.abs(spoken).max() < 1e-3


def test_the_video_is_heard_between_two_speeches_with_a_pause(silence, loud_video, tmp_path):
    placed = [PlacedAudio(silence, 0.5, 1.0), PlacedAudio(silence, 1.5, 2.5)]
    write_soundtrack(placed, loud_video, 3.0, tmp_path / "mix.wav")
    pause = part(read_audio(tmp_path / "mix.wav"), 1.0, 1.5)
    assert np.std(pause) == pytest.approx(np.std(part(read_audio(loud_video.path), 1.0, 1.5)), 0.01)


def test_the_soundtrack_is_the_same_in_blocks_of_any_length(
    low, high, loud_video, tmp_path, monkeypatch
):
    placed = [
        PlacedAudio(low, 0.7, 2.2, 0.3),
        PlacedAudio(high, 1.0, 2.0),
        PlacedAudio(low, 2.2, 4),
    ]
    written = []
    for seconds in (10, 1):
        monkeypatch.setattr(mix, "BLOCK_SECONDS", seconds)
        write_soundtrack(placed, loud_video, 3.0, tmp_path / f"{seconds}.wav")
        written.append((tmp_path / f"{seconds}.wav").read_bytes())
    assert written[0] == written[1]


def test_a_file_is_open_only_while_it_is_heard(low, monkeypatch):
    open_now: list[int] = []
    read = AudioReader.pieces

    def pieces(self: AudioReader, rate: int, layout: str) -> Iterator[np.ndarray]:
        open_now.append(1)
        try:
            yield from read(self, rate, layout)
        finally:
            open_now.pop()

    monkeypatch.setattr(AudioReader, "pieces", pieces)
    monkeypatch.setattr(mix, "BLOCK_SECONDS", 1)
    placed = [PlacedAudio(low, start, start + 0.25) for start in np.arange(80) / 4 + 1.0]
    counts = [len(open_now) for _ in MixedSpeech(placed, 23.0)]
    assert counts == [0] * 23, "each part ends with its second, and the next is not open yet"
    over = [PlacedAudio(low, 1.5, 2.5), PlacedAudio(low, 5.0, 9.0)]
    counts = [len(open_now) for _ in MixedSpeech(over, 10.0)]
    assert counts[:4] == [0, 1, 0, 0] and counts[5] == 1
    assert not any(counts[7:]), "the file of two seconds is over"


def test_a_part_costs_its_own_length_however_long_the_whole_is(low, monkeypatch):
    computed = []
    share = mix._share

    def counted(span: tuple[float, float], start: int, stop: int, *rest: Any) -> np.ndarray:
        computed.append(stop - start)
        return share(span, start, stop, *rest)

    monkeypatch.setattr(mix, "_share", counted)
    placed = [PlacedAudio(low, start, start + 0.25) for start in np.arange(60) * 0.3]
    assert len(whole(placed, 18.0)) == 18 * SAMPLE_RATE
    assert sum(computed) == 60 * 0.25 * SAMPLE_RATE


def test_spans_are_the_union_of_the_parts(low):
    parts = [(3.0, 4.0), (0.5, 1.0), (0.25, 2.0), (2.25, 2.5)]
    placed = [PlacedAudio(low, *one) for one in parts]
    assert spoken_spans(placed) == [(0.25, 2.0), (2.25, 2.5), (3.0, 4.0)]
    assert union(spoken_spans(placed), 0.125, 0.25) == [(0.125, 2.75), (2.875, 4.25)]
    assert spoken_spans([]) == []


def test_a_folder_that_is_not_there_is_named(low, loud_video, tmp_path):
    target = tmp_path / "nowhere" / "mix.wav"
    with pytest.raises(MediaError, match=r"cannot write the soundtrack: .*nowhere.*No such file.*"):
        write_soundtrack([PlacedAudio(low, 0.0, 1.0)], loud_video, 3.0, target)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full, on Linux")
def test_a_full_disk_is_said(low, loud_video):
    with pytest.raises(MediaError, match="No space left on device: free some space"):
        write_soundtrack([PlacedAudio(low, 0.0, 1.0)], loud_video, 3.0, Path("/dev/full"))


def test_a_soundtrack_too_long_for_a_wav_file_is_refused_before_it_is_written(
    low, loud_video, tmp_path
):
    with pytest.raises(MediaError, match=r"too long: 6\.3 hours; mix at most 6\.2 hours"):
        write_soundtrack([PlacedAudio(low, 0, 1)], loud_video, 22680.0, tmp_path / "mix.wav")
    assert not (tmp_path / "mix.wav").exists()
