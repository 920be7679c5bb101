"""latentsync.media: a video with new audio."""

from __future__ import annotations

import itertools
import logging
import tracemalloc
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.media.audio.reader import AudioReader, read_audio
from latentsync.media.probe import probe
from tests.support.dubbing import CLICK, FRAME, dubbed, two_track_video, write_wav
from tests.support.media_factory import (
    Tone,
    audio_packets,
    corrupt,
    make_audio,
    make_video,
    moving_pattern,
    pts_of,
)


def click_of(path: Path) -> float:
    """Seconds from the first frame to the click, as a player has it."""
    samples = np.abs(read_audio(path, 48000))
    assert samples.max() > 0.3
    return float(np.flatnonzero(samples > samples.max() / 2)[0] / 48000) - float(pts_of(path)[0])


def audio_end(path: Path) -> float:
    """Seconds from the first frame to the end of the audio."""
    (track,) = probe(path).audio
    return track.start + track.duration_seconds - float(pts_of(path)[0])


def payloads(path: Path) -> list[bytes]:
    return [payload for _, payload in audio_packets(path)]


# --- what is encoded ---


@pytest.mark.parametrize("suffix", [".mp4", ".m4v"])
@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (44100, 1), (16000, 1), (8000, 2)])
def test_a_wav_becomes_aac_of_the_same_rate_and_channels(
    tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    audio = write_wav(tmp_path / "a.wav", rate=rate, channels=channels)
    target = dubbed(two_track_video(tmp_path), tmp_path / f"b{suffix}", audio)
    (track,) = probe(target).audio
    assert (track.codec, track.sample_rate, track.channels) == ("aac", rate, channels)
    assert click_of(target) == pytest.approx(CLICK, abs=0.01)
    assert audio_end(target) == pytest.approx(1.0, abs=FRAME)


@pytest.mark.parametrize(("channels", "rate"), [(2, 192_000), (6, 384_000)])
def test_aac_is_given_enough_bits(tmp_path: Path, channels: int, rate: int) -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, channels * 48000 * 4).astype(np.int16)
    audio = write_wav(tmp_path / "a.wav")
    with wave.open(str(audio), "wb") as file:
        file.setparams((channels, 2, 48000, 0, "NONE", ""))
        file.writeframes(noise.tobytes())
    target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio)
    bits = 8 * sum(map(len, payloads(target))) / 4
    assert bits == pytest.approx(rate, rel=0.1)


def test_a_rate_that_aac_does_not_have_is_converted(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", rate=50000)
    target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio)
    assert probe(target).audio[0].sample_rate == 48000
    assert click_of(target) == pytest.approx(CLICK, abs=0.01)


@pytest.mark.parametrize(("channels", "kept"), [(3, 2), (6, 6), (7, 2)])
def test_channels_that_aac_supports_are_kept(tmp_path: Path, channels: int, kept: int) -> None:
    audio = write_wav(tmp_path / "a.wav", channels=channels)
    target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio)
    assert probe(target).audio[0].channels == kept
    assert click_of(target) == pytest.approx(CLICK, abs=0.01)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.webm"])
def test_what_few_players_play_in_an_mp4_is_encoded(tmp_path: Path, name: str) -> None:
    codec = "flac" if name == "a.flac" else "libopus"
    audio = make_audio(tmp_path / name, Tone(1.0, rate=48000, codec=codec))
    target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio)
    assert probe(target).audio[0].codec == "aac"
    assert audio_end(target) == pytest.approx(1.0, abs=FRAME)


def test_damaged_audio_is_encoded_as_far_as_it_goes_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tone = Tone(2.0, rate=48000, codec="flac")
    audio = corrupt(make_audio(tmp_path / "a.mp4", tone), 0.5)
    target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio)
    assert audio_end(target) == pytest.approx(2.0, abs=FRAME)
    assert any(str(audio) in r.message for r in caplog.records if r.levelno == logging.WARNING)


# --- what is copied ---


@pytest.mark.parametrize(
    ("name", "codec", "suffix"),
    [
        ("a.m4a", "aac", ".mp4"),
        ("a.m4a", "aac", ".mkv"),
        ("a.mp3", "libmp3lame", ".mkv"),
        ("a.mp3", "libmp3lame", ".mp4"),
        ("a.mkv", "ac3", ".mp4"),
        ("a.mp4", "alac", ".mov"),
        ("a.wav", "pcm_s16le", ".mov"),
        ("a.wav", "pcm_s16le", ".mkv"),
        ("a.flac", "flac", ".mkv"),
        ("a.webm", "libopus", ".mkv"),
    ],
)
def test_what_the_container_holds_is_copied_bit_for_bit(
    tmp_path: Path, name: str, codec: str, suffix: str
) -> None:
    audio = make_audio(tmp_path / name, Tone(1.0, rate=48000, codec=codec))
    target = dubbed(two_track_video(tmp_path), tmp_path / f"b{suffix}", audio)
    # not every muxer keeps the packet boundaries of PCM
    assert b"".join(payloads(target)) == b"".join(payloads(audio))
    (track,) = probe(target).audio
    assert (track.codec, track.sample_rate, track.channels) == (
        AudioReader(audio).info.codec,
        48000,
        2,
    )
    assert audio_end(target) == pytest.approx(1.0, abs=FRAME)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", ["a.wav", "a.m4a", "a.aac", "a.mp3", "a.flac", "a.ac3", "a.ogg"])
def test_audio_is_in_sync_with_the_video(tmp_path: Path, name: str, suffix: str) -> None:
    audio = tmp_path / name
    converted(write_wav(tmp_path / "click.wav"), audio)
    source = two_track_video(tmp_path)
    target = dubbed(source, tmp_path / f"b{suffix}", audio)
    click = float(np.abs(read_audio(audio, 48000)).argmax() / 48000)
    assert click == pytest.approx(CLICK, abs=0.03)
    assert click_of(target) == pytest.approx(click, abs=0.01)
    shifts = {new - old for old, new in zip(pts_of(source), pts_of(target), strict=True)}
    assert max(shifts) - min(shifts) <= Fraction(1, 1000)


def converted(audio: Path, target: Path) -> None:
    codecs = {".mp3": "libmp3lame", ".flac": "flac", ".ac3": "ac3", ".ogg": "libopus"}
    codec = "pcm_s16le" if target.suffix == ".wav" else codecs.get(target.suffix, "aac")
    with av.open(str(audio)) as source, av.open(str(target), "w") as output:
        stream = output.add_stream(codec, rate=48000, layout="stereo")
        for frame in itertools.chain(source.decode(audio=0), [None]):
            output.mux(stream.encode(frame))


def test_audio_that_begins_late_begins_late(tmp_path: Path) -> None:
    late = Tone(0.5, start=0.25, rate=48000)
    for name, codec in (("a.m4a", "aac"), ("a.mkv", "flac")):
        audio = make_audio(tmp_path / name, Tone(0.5, start=0.25, rate=48000, codec=codec))
        target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio)
        audible = np.flatnonzero(np.abs(read_audio(target, 48000)) > 0.1) / 48000
        assert audible[0] == pytest.approx(late.start, abs=0.01), name


def test_the_language_is_kept(tmp_path: Path) -> None:
    for codec in ("aac", "flac"):
        audio = make_audio(tmp_path / "a.mkv", Tone(codec=codec, metadata={"language": "fra"}))
        target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio)
        with av.open(str(target)) as container:
            assert container.streams.audio[0].language == "fra"


# --- the video's own audio, and lengths ---


def test_new_audio_replaces_the_video_s_own_and_nothing_else(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "video.mkv",
        moving_pattern(count=25),
        audio=[Tone(hertz=200), Tone(hertz=200)],
        metadata={"title": "Été"},
        chapters=[("one", 0, 1)],
    )
    audio = make_audio(tmp_path / "a.m4a", Tone(hertz=2000))
    target = dubbed(source, tmp_path / "b.mp4", audio)
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "Été"
        assert len(container.chapters()) == 1 and len(container.streams.audio) == 1
    spectrum = np.abs(np.fft.rfft(read_audio(target)[:16000]))
    assert spectrum.argmax() == pytest.approx(2000, abs=5)
    assert spectrum[150:250].max() < spectrum.max() / 1000
    assert pts_of(target) == pts_of(source)


def test_a_video_that_had_no_audio_gets_some(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav")
    target = dubbed(make_video(tmp_path / "video.mp4"), tmp_path / "b.mp4", audio)
    assert click_of(target) == pytest.approx(CLICK, abs=0.01)


@pytest.mark.parametrize("name", ["a.wav", "a.m4a", "a.mp3"])
def test_audio_is_cut_at_the_given_end(tmp_path: Path, name: str) -> None:
    audio = tmp_path / name
    converted(write_wav(tmp_path / "click.wav", seconds=5.0), audio)
    target = dubbed(two_track_video(tmp_path), tmp_path / "b.mp4", audio, 1.0)
    assert audio_end(target) == pytest.approx(1.0, abs=FRAME)
    assert click_of(target) == pytest.approx(CLICK, abs=0.03)


@pytest.mark.parametrize(("seconds", "limit"), [(0.4, 1.0), (0.7, None), (2.5, None)])
def test_audio_may_be_shorter_or_longer_than_the_video(
    tmp_path: Path, seconds: float, limit: float | None
) -> None:
    audio = write_wav(tmp_path / "a.wav", seconds=seconds, click=0.2)
    source = two_track_video(tmp_path)
    target = dubbed(source, tmp_path / "b.mp4", audio, limit)
    assert audio_end(target) == pytest.approx(seconds, abs=FRAME)
    assert pts_of(target) == pts_of(source)


def test_video_and_audio_are_interleaved_in_the_file(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", seconds=4.0)
    target = dubbed(two_track_video(tmp_path, seconds=4.0), tmp_path / "b.mp4", audio)
    latest = {"video": 0.0, "audio": 0.0}
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux() if packet.dts is not None]
        for packet in sorted(packets, key=lambda packet: packet.pos or 0):
            latest[packet.stream.type] = float((packet.dts or 0) * packet.time_base)
            # a chunk of an MP4 holds up to a second of one stream
            assert abs(latest["video"] - latest["audio"]) < 1.1


def test_long_audio_takes_little_memory(tmp_path: Path) -> None:
    audio = write_wav(tmp_path / "a.wav", seconds=120, rate=16000)
    source = two_track_video(tmp_path)
    tracemalloc.start()
    dubbed(source, tmp_path / "b.mp4", audio)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6, "bytes; all of the audio would be 7.7 MB"
