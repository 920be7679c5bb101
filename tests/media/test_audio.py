"""latentsync.media.audio.reader: reads audio from many kinds of file."""

from __future__ import annotations

import tracemalloc
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.media.audio.reader import AudioReader, read_audio
from tests.support.media_factory import Tone, corrupt, cut, make_audio, make_video

RATE = 16000
CODEC_FRAME = 0.03  # seconds; a codec's last frame may be padded with silence


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """samples: (n,) or (n, channels) int16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1] if samples.ndim == 2 else 1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def sine(hertz: float, *, seconds: float = 1.0, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    """(n,) int16."""
    phase = np.arange(round(seconds * rate)) * (2 * np.pi * hertz / rate)
    return (level * 32767 * np.sin(phase)).round().astype(np.int16)


def bounds(samples: np.ndarray) -> tuple[float, float]:
    """Seconds of the first and of the last audible sample."""
    audible = np.flatnonzero(np.abs(samples) > 0.05)
    return audible[0] / RATE, audible[-1] / RATE


def pitch(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


def level(samples: np.ndarray) -> float:
    """Root mean square of the middle, away from the ends."""
    quarter = len(samples) // 4
    return float(np.sqrt(np.mean(np.square(samples[quarter:-quarter], dtype=np.float64))))


def refusal(path: Path) -> str:
    with pytest.raises(MediaError) as error:
        read_audio(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# --- every kind of file ---


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.wav", "pcm_s16le", 8000),
        ("a.wav", "pcm_s24le", 44100),
        ("a.wav", "pcm_f32le", 48000),
        ("a.mp3", "libmp3lame", 44100),
        ("a.mp3", "libmp3lame", 22050),
        ("a.m4a", "aac", 44100),
        ("a.mp4", "aac", 48000),
        ("a.mp4", "libopus", 48000),
        ("a.mkv", "aac", 32000),
        ("a.mkv", "flac", 44100),
        ("a.mkv", "libopus", 48000),
        ("a.webm", "libopus", 48000),
        ("a.ogg", "libopus", 48000),
        ("a.flac", "flac", 96000),
        ("a.ts", "aac", 48000),
    ],
)
def test_the_same_second_is_heard_in_every_kind_of_file(
    tmp_path: Path, name: str, codec: str, rate: int
) -> None:
    samples = read_audio(make_audio(tmp_path / name, Tone(1.0, rate=rate, codec=codec)))
    assert (samples.dtype, samples.ndim) == (np.float32, 1)
    assert 1.0 <= len(samples) / RATE < 1.0 + 2 * CODEC_FRAME
    assert pitch(samples[:RATE]) == pytest.approx(440, abs=2)
    assert level(samples) == pytest.approx(0.3 / 2**0.5, rel=0.06)  # LAME takes 5 % off
    start, end = bounds(samples)
    assert start < CODEC_FRAME and end - start == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.flac", "a.mkv"])
def test_audio_begins_when_it_begins(tmp_path: Path, name: str) -> None:
    """A codec's own delay is not part of the audio."""
    codecs = {"a.wav": "pcm_s16le", "a.mp3": "libmp3lame", "a.flac": "flac", "a.mkv": "flac"}
    tone = Tone(0.5, codec=codecs.get(name, "aac"))
    assert bounds(read_audio(make_audio(tmp_path / name, tone)))[0] < 0.002


def test_samples_at_the_wanted_rate_arrive_untouched(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    read = read_audio(write_wav(tmp_path / "a.wav", samples))
    np.testing.assert_array_equal(read, samples / np.float32(32768))
    assert read.min() >= -1 and read.max() < 1


@pytest.mark.parametrize("channels", [2, 3, 6, 8])
def test_equal_channels_keep_their_loudness(tmp_path: Path, channels: int) -> None:
    one = sine(300)
    read = read_audio(write_wav(tmp_path / "a.wav", np.stack([one] * channels, axis=1)))
    np.testing.assert_allclose(read, one / 32768, atol=2 / 32768)  # rounding of the mix


def test_both_channels_are_mixed(tmp_path: Path) -> None:
    left, right = sine(300), sine(1000)
    read = read_audio(write_wav(tmp_path / "a.wav", np.stack([left, right], axis=1)))
    np.testing.assert_allclose(read, (left / 65536 + right / 65536), atol=2 / 32768)


@pytest.mark.parametrize("rate", [11025, 24000, 44100, 48000])
def test_resampling_keeps_the_speech_band(tmp_path: Path, rate: int) -> None:
    partials = (110, 333, 880, 1700, 3100)

    def chord(at: int) -> np.ndarray:
        return sum(sine(f, rate=at, level=0.15).astype(np.int64) for f in partials).astype(np.int16)

    read = read_audio(write_wav(tmp_path / "a.wav", chord(rate), rate))
    expected = chord(RATE) / 32768
    assert len(read) == len(expected)
    error = (read - expected)[500:-500]
    assert 20 * np.log10(expected.std() / error.std()) > 70  # dB; 80 is seen, 16 bits allow 87


def test_resampling_does_not_alias(tmp_path: Path) -> None:
    read = read_audio(write_wav(tmp_path / "a.wav", sine(10000, rate=48000), 48000))
    assert level(read) < 1e-3


def test_any_rate_can_be_requested(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", sine(300))
    assert len(read_audio(path, 48000)) == 48000


@pytest.mark.parametrize("name", ["a:b.wav", "-x.wav", "two words.wav", "Grüße.wav"])
def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    assert len(read_audio(write_wav(tmp_path / name, sine(300)))) == RATE


def test_silence_is_silence(tmp_path: Path) -> None:
    read = read_audio(write_wav(tmp_path / "a.wav", np.zeros(RATE, np.int16)))
    assert len(read) == RATE and not read.any()


@pytest.mark.parametrize(("rate", "count"), [(16000, 1), (16000, 100), (48000, 200), (44100, 441)])
def test_very_short_audio_is_read(tmp_path: Path, rate: int, count: int) -> None:
    read = read_audio(write_wav(tmp_path / "a.wav", np.full(count, 9000, np.int16), rate))
    assert len(read) == round(count * RATE / rate)


# --- the video's time ---


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
def test_a_track_that_begins_late_has_silence_before_it(tmp_path: Path, name: str) -> None:
    video = make_video(tmp_path / name, audio=[Tone(0.3, start=0.2)])
    start, end = bounds(read_audio(video))
    delay = 0.0 if name != "a.ts" else 0.03  # a transport stream keeps the encoder's first frame
    assert 0.199 <= start <= 0.201 + delay and end - start == pytest.approx(0.3, abs=0.005)


def test_the_first_of_several_tracks_is_read(tmp_path: Path) -> None:
    tones = [Tone(0.4, hertz=500), Tone(0.8, hertz=1500)]
    video = make_video(tmp_path / "a.mkv", audio=tones)
    assert AudioReader(video).info.index == 1
    assert pitch(read_audio(video)) == pytest.approx(500, abs=5)


# --- blocks ---


def test_blocks_are_ten_seconds_long_and_the_same_each_time(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(-9000, 9000, 25 * RATE + 7).astype(np.int16)
    reader = AudioReader(write_wav(tmp_path / "a.wav", samples))
    first, second = list(reader), list(reader)
    assert [len(block) for block in first] == [10 * RATE, 10 * RATE, 5 * RATE + 7]
    np.testing.assert_array_equal(np.concatenate(first), samples / np.float32(32768))
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))


def test_long_audio_is_read_in_little_memory(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros(200 * 8000, np.int16), 8000)
    tracemalloc.start()
    total = sum(len(block) for block in AudioReader(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 200 * RATE
    assert peak < 4e6, "bytes; all of it would be 13 MB"


# --- not audio, and damaged ---


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "folder"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(bytes(range(256)) * 40), "not an audio file"),
        (make_video, "no audio in the file"),
        (lambda path: cut(make_video(path, audio=[Tone()]), 0.5), "damaged"),
    ],
    ids=["missing", "folder", "empty", "noise", "video only", "cut before its index"],
)
def test_a_file_that_is_not_audio_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / "a.mp4")
    assert says in refusal(tmp_path / "a.mp4")


def test_a_text_file_is_not_audio_even_though_ffmpeg_opens_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Dear diary,\n" * 50)
    assert "no audio in the file" in refusal(tmp_path / "notes.txt")


def test_a_list_of_other_files_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", sine(300))
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile a.wav\n")
    assert "list of other files" in refusal(tmp_path / "list.ffconcat")


def test_a_header_without_a_single_sample_is_refused(tmp_path: Path) -> None:
    assert "no sample" in refusal(write_wav(tmp_path / "a.wav", np.empty(0, np.int16)))


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libopus"), ("a.flac", "flac")], ids=["mkv", "flac"]
)
def test_audio_that_is_cut_off_is_read_to_its_end_and_reported(
    tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = cut(make_audio(tmp_path / name, Tone(3.0, rate=48000, codec=codec)), 0.6)
    samples = read_audio(path)
    assert 1.0 < bounds(samples)[1] < 2.5
    assert "states 3.0" in caplog.text and str(path) in caplog.text


def test_damage_in_the_middle_is_reported_and_what_follows_stays_in_time(tmp_path: Path) -> None:
    path = corrupt(make_audio(tmp_path / "a.m4a", Tone(3.0)), 0.4)
    reader = AudioReader(path)
    samples = np.concatenate(list(reader))
    assert reader.issues is not None and "could not be decoded" in reader.issues
    assert len(samples) / RATE == pytest.approx(3.0, abs=CODEC_FRAME)


def test_intact_audio_has_no_issues(tmp_path: Path) -> None:
    for name, tone in (("a.mp4", Tone(start=0.5)), ("a.mkv", Tone(start=0.5)), ("a.ts", Tone())):
        reader = AudioReader(make_audio(tmp_path / name, tone))
        assert reader.issues is None
        assert len(np.concatenate(list(reader))) > RATE
        assert reader.issues is None


def test_the_reader_reports_the_start_of_the_track(tmp_path: Path) -> None:
    info = AudioReader(make_audio(tmp_path / "a.mkv", Tone(0.5, start=0.5))).info
    assert (info.codec, info.sample_rate, info.channels) == ("aac", 44100, 2)
    assert (info.start, info.origin) == (0.5, Fraction(0))
