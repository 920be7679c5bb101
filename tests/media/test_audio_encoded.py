"""Audio of the source that has to be encoded: complete, in sync, with its metadata."""

from __future__ import annotations

import logging
import tracemalloc
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.media.audio.reader import AudioReader, read_audio
from latentsync.media.audio.source import audio_of
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings, NewAudio
from latentsync.media.target import check_target
from latentsync.media.writer import VideoWriter
from tests.support.copying import QUICK, copied
from tests.support.dubbing import FRAME, dubbed, write_wav
from tests.support.media_factory import Tone, audio_packets, make_video, moving_pattern, pts_of

ALAC = replace(QUICK, audio="alac")


def camera(path: Path, *tones: Tone, count: int = 10, rate: int = 25) -> Path:
    """MJPEG in full range with uncompressed audio, as cameras and screen recorders write."""
    frames, quality = moving_pattern(count=count), {"q:v": "3"}
    kind = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": quality}
    return make_video(path, frames, rate=rate, audio=tones, **kind)


def pitches(path: Path) -> list[float]:
    """Hz, of each audio track."""
    info, found = probe(path), []
    for number in range(len(info.audio)):
        (samples,) = AudioReader(audio_of(info, number))
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        found.append(float(spectrum.argmax() * 16000 / len(samples)))
    return found


def samples_of(path: Path) -> np.ndarray:
    """(n,) int64, all channels in turn, as decoded, in 32 bits."""
    resampler = av.AudioResampler("s32")
    with av.open(str(path)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.int64)


def test_a_cameras_video_becomes_an_mp4_and_that_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = camera(tmp_path / "a.avi", Tone(0.4, codec="pcm_s16le"))
    info = probe(source)
    plan = check_target(tmp_path / "b.mp4", info, QUICK)
    note = (
        f"{source}: audio #1, pcm_s16le, 44100 Hz, is encoded to AAC, 44100 Hz, stereo: "
        "a .mp4 file cannot hold it"
    )
    assert plan.notes == (note,)
    target = copied(source, tmp_path / "b.mp4")
    assert (logging.WARNING, note) in [(r.levelno, r.message) for r in caplog.records]
    (track,) = probe(target).audio
    assert (track.codec, track.sample_rate, track.channels) == ("aac", 44100, 2)
    assert pts_of(target) == pts_of(source)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_all_tracks_keep_their_order_language_title_and_role(tmp_path: Path, suffix: str) -> None:
    # Matroska has German as "ger", an MP4 as "deu"
    said = [("eng", "Original"), ("fra", "Doublage"), ("deu", "Fassung")]
    codecs, hertz = ["adpcm_ms", "aac", "pcm_mulaw"], [400, 600, 800]
    tones = [
        Tone(0.6, pitch, codec=codec, metadata={"language": language, "title": title})
        for pitch, codec, (language, title) in zip(hertz, codecs, said, strict=True)
    ]
    make_video(tmp_path / "a.nut", moving_pattern(count=15), audio=tones)
    target = copied(tmp_path / "a.nut", tmp_path / f"b{suffix}")
    assert pitches(target) == pytest.approx(hertz, abs=5)
    again = copied(target, tmp_path / f"c{suffix}")
    for path in (target, again):
        with av.open(str(path)) as container:
            metadata = [stream.metadata for stream in container.streams.audio]
        assert [m["language"].replace("ger", "deu") for m in metadata] == [s[0] for s in said]
        assert [m.get("title", m.get("name")) for m in metadata] == [s[1] for s in said]


def test_the_default_track_stays_the_default(tmp_path: Path) -> None:
    tones = [Tone(0.4, codec="pcm_s16le"), Tone(0.4, codec="pcm_s16le")]
    plain = make_video(tmp_path / "plain.mkv", audio=tones)
    info = probe(plain)
    second = [replace(a, disposition=a.disposition.__class__(n)) for n, a in enumerate(info.audio)]
    with VideoWriter(tmp_path / "b.mp4", replace(info, audio=tuple(second)), QUICK) as writer:
        for frame in VideoReader(info):
            writer.write(frame)
    assert [audio.disposition.value for audio in probe(tmp_path / "b.mp4").audio] == [0, 1]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le", "flac", "pcm_u8"])
def test_alac_gives_back_every_sample(tmp_path: Path, codec: str, suffix: str) -> None:
    source = make_video(tmp_path / "a.mkv", audio=[Tone(0.4, codec=codec, rate=96000)])
    target = copied(source, tmp_path / f"b{suffix}", ALAC)
    assert probe(target).audio[0].codec == "alac"
    assert np.array_equal(samples_of(target), samples_of(source))


def test_24_bits_are_24_bits_in_alac(tmp_path: Path) -> None:
    source = tmp_path / "a.mov"
    make_video(source, audio=[Tone(0.4, codec="pcm_s24le", rate=48000)])
    data = bytearray(source.read_bytes())
    (_, first), *_ = audio_packets(source)
    at = data.index(first)
    noise = np.random.default_rng(0).integers(0, 256, len(first), np.uint8)
    data[at : at + len(first)] = noise.tobytes()
    source.write_bytes(data)
    target = copied(source, tmp_path / "b.mp4", ALAC)
    samples = samples_of(source)
    assert np.unique(samples // 256 % 256).size > 200  # the lowest 8 of 24 bits are used
    assert np.array_equal(samples_of(target), samples)


@pytest.mark.parametrize(("asked", "codec"), [("aac", "ac3"), ("alac", "aac"), ("aac", "flac")])
def test_a_codec_that_was_asked_for_is_what_all_tracks_have(
    tmp_path: Path, asked: str, codec: str
) -> None:
    source = make_video(tmp_path / "a.mkv", audio=[Tone(codec=codec), Tone(codec=asked)])
    target = copied(source, tmp_path / "b.mkv", EncodeSettings(preset="ultrafast", audio=asked))
    assert [audio.codec for audio in probe(target).audio] == [asked, asked]
    payloads = [[data for _, data in audio_packets(path, 1)] for path in (source, target)]
    assert payloads[0] == payloads[1], "a track that has the codec is copied"
    note = check_target(tmp_path / "c.mkv", probe(source), replace(QUICK, audio=asked)).notes[0]
    assert note.endswith(f"{asked.upper()} was requested")


def test_new_audio_is_encoded_with_the_requested_codec(tmp_path: Path) -> None:
    source, speech = make_video(tmp_path / "a.mp4"), write_wav(tmp_path / "a.wav", seconds=0.6)
    info, audio = probe(source), NewAudio(tmp_path / "a.wav")
    with VideoWriter(tmp_path / "b.mp4", info, ALAC, audio=audio) as writer:
        for frame in VideoReader(info):
            writer.write(frame)
    assert probe(tmp_path / "b.mp4").audio[0].codec == "alac"
    assert np.array_equal(samples_of(tmp_path / "b.mp4"), samples_of(speech))
    assert writer.notes == [], "new audio is not the source's"


@pytest.mark.parametrize("codec", ["flac", "pcm_s16le"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_audio_that_begins_late_begins_late(tmp_path: Path, codec: str, suffix: str) -> None:
    tone = Tone(0.4, codec=codec, rate=48000, start=0.3)
    source = make_video(tmp_path / "a.mkv", moving_pattern(count=20), audio=[tone])
    target = copied(source, tmp_path / f"b{suffix}", replace(QUICK, audio="aac"))
    begins, ends = zip(*(bounds(path) for path in (source, target)), strict=True)
    assert begins[0] == pytest.approx(0.3, abs=0.005)
    assert begins[1] == pytest.approx(begins[0], abs=0.005)
    assert ends[1] == pytest.approx(ends[0], abs=0.02)


def bounds(path: Path) -> tuple[float, float]:
    """Seconds, from the first frame on, of the first and the last audible sample."""
    audible = np.flatnonzero(np.abs(read_audio(path, 48000)) > 0.1) / 48000 - float(pts_of(path)[0])
    return audible[0], audible[-1]


def test_a_track_without_a_sample_does_not_stop_the_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "a.mkv"
    tones = [Tone(0.4, codec="flac"), Tone(0.0, codec="flac")]
    make_video(source, moving_pattern(), audio=tones)
    info = probe(source)
    assert len(info.audio) == 2
    with VideoWriter(tmp_path / "b.mp4", info, QUICK) as writer:
        for frame in VideoReader(info):
            writer.write(frame)
    assert pitches(tmp_path / "b.mp4")[:1] == pytest.approx([440], abs=5)
    assert any("no sample" in note for note in writer.notes)
    assert any("no sample" in record.message for record in caplog.records)


def test_an_empty_track_is_kept_where_its_codec_is_supported(tmp_path: Path) -> None:
    tones = [Tone(0.4), Tone(0.0)]
    info = probe(make_video(tmp_path / "a.mkv", moving_pattern(), audio=tones))
    assert check_target(tmp_path / "b.mp4", info, QUICK).notes == ()
    copied(info.path, tmp_path / "b.mp4")
    assert pitches(tmp_path / "b.mp4")[:1] == pytest.approx([440], abs=5)


def test_frames_and_encoded_audio_are_interleaved_in_the_file(tmp_path: Path) -> None:
    # longer than the 10 s that FFmpeg itself would hold back
    tones = [Tone(16.0, codec="pcm_s16le"), Tone(16.0, codec="pcm_u8")]
    source = camera(tmp_path / "a.avi", *tones, count=80, rate=5)
    target = copied(source, tmp_path / "b.mp4")
    latest = dict.fromkeys(range(3), 0.0)
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux() if packet.dts is not None]
    for packet in sorted(packets, key=lambda packet: packet.pos or 0):
        latest[packet.stream_index] = float((packet.dts or 0) * packet.time_base)
        # a chunk of an MP4 holds up to a second of one stream
        assert max(latest.values()) - min(latest.values()) < 1.5
    assert min(latest.values()) > 15


def test_a_long_track_takes_little_memory(tmp_path: Path) -> None:
    source = camera(tmp_path / "a.avi", Tone(30, codec="pcm_s16le", rate=48000))
    tracemalloc.start()
    copied(source, tmp_path / "b.mp4")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6, "bytes; all of the audio would be 5.8 MB"


def test_new_audio_takes_the_place_of_what_would_be_encoded(tmp_path: Path) -> None:
    source = camera(tmp_path / "a.avi", Tone(1.0, codec="pcm_s16le"), count=25)
    target = dubbed(source, tmp_path / "b.mp4", write_wav(tmp_path / "a.wav"))
    (track,) = probe(target).audio
    assert track.codec == "aac" and track.duration_seconds == pytest.approx(1.0, abs=FRAME)
