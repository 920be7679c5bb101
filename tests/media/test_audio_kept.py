"""Each kind of audio in each container: every entry of the table is written and read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latentsync.media.audio.plan import audio_plan
from latentsync.media.audio.reader import read_audio
from latentsync.media.audio.source import audio_of
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.trial_mux import TrialMux
from latentsync.media.writer import VideoWriter
from tests.support.copying import QUICK
from tests.support.media_factory import Tone, audio_packets, make_video, moving_pattern, pts_of

COPIED, AAC = "copied", "aac"
TARGETS = (".mp4", ".m4v", ".mov", ".mkv")
TABLE = {  # encoder: (the source's container, what the four targets do with it)
    "pcm_s16le": (".avi", AAC, AAC, COPIED, COPIED),
    "pcm_s24le": (".mkv", AAC, AAC, COPIED, COPIED),
    "pcm_f32le": (".mov", AAC, AAC, COPIED, COPIED),
    "pcm_u8": (".avi", AAC, AAC, COPIED, COPIED),
    "pcm_mulaw": (".avi", AAC, AAC, COPIED, AAC),
    "adpcm_ms": (".avi", AAC, AAC, AAC, AAC),
    "adpcm_ima_qt": (".mov", AAC, AAC, COPIED, AAC),
    "flac": (".mkv", AAC, AAC, AAC, COPIED),
    "libopus": (".mkv", AAC, AAC, AAC, COPIED),
    "vorbis": (".mkv", AAC, AAC, AAC, COPIED),
    "wavpack": (".mkv", AAC, AAC, AAC, COPIED),
    "mp2": (".avi", AAC, AAC, COPIED, COPIED),
    "libmp3lame": (".avi", COPIED, COPIED, COPIED, COPIED),
    "ac3": (".mkv", COPIED, COPIED, COPIED, COPIED),
    "aac": (".mp4", COPIED, COPIED, COPIED, COPIED),
    "alac": (".mkv", COPIED, COPIED, COPIED, COPIED),
}
CELLS = [
    (codec, source, target, fate)
    for codec, (source, *fates) in TABLE.items()
    for target, fate in zip(TARGETS, fates, strict=True)
]


@pytest.mark.parametrize(("codec", "kind", "suffix", "fate"), CELLS)
def test_audio_is_copied_where_it_is_held_and_played_else_encoded(
    tmp_path: Path, codec: str, kind: str, suffix: str, fate: str
) -> None:
    source = make_video(tmp_path / f"a{kind}", audio=[Tone(0.4, codec=codec, rate=48000)])
    info, target = probe(source), tmp_path / f"b{suffix}"
    (plan,) = audio_plan(target, info, QUICK)
    assert plan.encoder == (None if fate == COPIED else fate)
    with VideoWriter(target, info, QUICK) as writer:
        for frame in VideoReader(info):
            writer.write(frame)
    assert [note for note in writer.notes if "audio #1" in note] == ([plan.note] * bool(plan.note))
    (before,), (after,) = info.audio, probe(target).audio
    assert after.codec == (before.codec if fate == COPIED else fate)
    assert (after.sample_rate, after.channels) == (before.sample_rate, before.channels)
    if fate == COPIED:
        # not every muxer keeps the packet boundaries of PCM
        old, new = ([data for _, data in audio_packets(path)] for path in (source, target))
        assert b"".join(old) == b"".join(new)
    else:
        assert plan.note.startswith(f"{source}: audio #1, {before.codec}, 48000 Hz, is encoded")
    assert_same_audio(source, target)


def assert_same_audio(source: Path, target: Path) -> None:
    """The tone has the same start, length and phase, relative to the first frame."""
    (old, old_zero), (new, new_zero) = (
        (read_audio(path, 48000), float(pts_of(path)[0])) for path in (source, target)
    )
    shift = round((new_zero - old_zero) * 48000)  # Matroska may shift the whole file
    old, new = old[1500:17500], new[1500 + shift : 17500 + shift]
    assert len(new) == len(old), "the end is missing"
    spectra = [np.fft.rfft(samples) for samples in (old, new)]
    peak = int(np.abs(spectra[0]).argmax())
    assert np.abs(spectra[1]).argmax() == peak
    assert np.abs(spectra[1][peak] / spectra[0][peak]) == pytest.approx(1, abs=0.02)
    turn = float(np.angle(spectra[1][peak] / spectra[0][peak]))
    assert abs(turn) / (2 * np.pi * 440) < 0.0011, "seconds out of sync"


@pytest.mark.parametrize("codec", ["libopus", "flac", "pcm_s16le"])
def test_an_mp4_keeps_the_audio_of_an_mp4(tmp_path: Path, codec: str) -> None:
    source = make_video(tmp_path / "a.mp4", audio=[Tone(0.4, codec=codec, rate=48000)])
    info, target = probe(source), tmp_path / "b.m4v"
    with VideoWriter(target, info, QUICK) as writer:
        for frame in VideoReader(info):
            writer.write(frame)
    assert audio_packets(target) == audio_packets(source)
    assert writer.notes == []


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_alac_out_of_matroska_keeps_its_last_packet(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "a.mkv", audio=[Tone(0.4, codec="alac", rate=48000)])
    target, info = tmp_path / f"b{suffix}", probe(source)
    with VideoWriter(target, info, EncodeSettings(preset="ultrafast")) as writer:
        for frame in VideoReader(info):
            writer.write(frame)
    old, new = audio_packets(source), audio_packets(target)
    assert [data for _, data in new] == [data for _, data in old] and len(old) == 5
    assert max(abs(a - b) for (a, _), (b, _) in zip(old, new, strict=True)) < Fraction(1, 1000)
    assert np.array_equal(read_audio(target, 48000)[:19200], read_audio(source, 48000)[:19200])


def test_audio_that_begins_after_a_thousand_packets_is_tried_too(tmp_path: Path) -> None:
    tone = Tone(0.2, codec="pcm_s16le", rate=48000, start=41.0)
    path = make_video(tmp_path / "a.mkv", moving_pattern(32, 32, 1040), audio=[tone])
    with TrialMux() as trial:
        audio = audio_of(probe(path))
        # an MP4 refuses it with its trailer, once there are packets of it
        assert [trial.can_copy(audio, muxer) for muxer in ("mp4", "mov")] == [False, True]


def test_audio_that_would_be_read_as_another_codec_is_not_copied(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", audio=[Tone(0.4, codec="mp2", rate=48000)])
    with TrialMux() as trial:
        audio = audio_of(probe(path))
        # an MP4 says MPEG audio, and readers take it for layer 3
        assert [trial.can_copy(audio, muxer) for muxer in ("mp4", "matroska")] == [False, True]
