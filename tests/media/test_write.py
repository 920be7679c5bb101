"""Times, audio and metadata of a video that was read and written are the source's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from latentsync.media.probe import probe
from latentsync.media.settings import EncodeSettings
from tests.support.copying import copied
from tests.support.media_factory import (
    Tone,
    audio_packets,
    make_video,
    moving_pattern,
    pts_of,
)

# --- time ---


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
@pytest.mark.parametrize("rate", [25, Fraction(24000, 1001), Fraction(30000, 1001), 60, 12])
def test_every_frame_keeps_its_time(tmp_path: Path, rate: Fraction | int, suffix: str) -> None:
    source = make_video(tmp_path / "a.mp4", rate=rate)
    target = copied(source, tmp_path / f"b{suffix}")
    assert pts_of(target) == pts_of(source) and len(pts_of(target)) == 10
    assert probe(target).average_rate == Fraction(rate)
    assert probe(target).frame_count == 10


def test_b_frames_do_not_move_time(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", moving_pattern(count=40), audio=[Tone(1.6)])
    target = copied(source, tmp_path / "b.mp4", EncodeSettings(preset="medium"))
    assert pts_of(target) == pts_of(source)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_x265_writes_the_shortest_videos_too(tmp_path: Path, count: int, suffix: str) -> None:
    source = make_video(tmp_path / "a.mp4", moving_pattern(count=count))
    target = copied(source, tmp_path / f"b{suffix}", EncodeSettings("libx265", preset="fast"))
    assert pts_of(target) == pts_of(source) and len(pts_of(target)) == count


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 12800), Fraction(1, 90000)])
def test_variable_frame_times_are_kept(tmp_path: Path, base: Fraction) -> None:
    milliseconds = [0, 40, 55, 140, 165, 300, 335, 500, 510, 1000]
    pts = [round(m / 1000 / base) for m in milliseconds]
    source = make_video(tmp_path / "a.mov", time_base=base, pts=pts)
    assert pts_of(copied(source, tmp_path / "b.mp4")) == [p * base for p in pts]


def test_mkv_times_go_into_mp4_exactly_and_back_to_the_millisecond(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", rate=Fraction(24000, 1001))
    into_mp4 = copied(source, tmp_path / "b.mp4")
    assert pts_of(into_mp4) == pts_of(source)
    back = copied(into_mp4, tmp_path / "c.mkv")
    assert pts_of(back) == pts_of(source)


def test_mpeg_ts_starts_at_zero_with_its_audio_in_sync(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "a.ts",
        moving_pattern(count=25),
        audio=[Tone(1.0, codec="libmp3lame")],
        muxer_options={"output_ts_offset": "7"},
    )
    target = copied(source, tmp_path / "b.mp4")
    origin = probe(source).origin
    assert origin > 6.9
    assert pts_of(target) == [s - origin for s in pts_of(source)]
    before, after = audio_packets(source), audio_packets(target)
    assert [p for _, p in after] == [p for _, p in before]
    for (old, _), (new, _) in zip(before, after, strict=True):
        assert abs(old - origin - new) < Fraction(1, 10000)  # 44.1 kHz and 90 kHz share no grid


# --- audio and metadata ---


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("aac", ".mp4"),
        ("aac", ".mkv"),
        ("libmp3lame", ".mp4"),
        ("flac", ".mkv"),
        ("pcm_s16le", ".mov"),
        ("libopus", ".mkv"),
        ("ac3", ".mp4"),
    ],
)
def test_audio_is_copied_bit_for_bit(tmp_path: Path, codec: str, suffix: str) -> None:
    tone = Tone(1.0, codec=codec, rate=48000)
    source = make_video(tmp_path / f"a{suffix}", moving_pattern(count=25), audio=[tone])
    target = copied(source, tmp_path / f"b{suffix}")
    assert audio_packets(target) == audio_packets(source)
    assert len(audio_packets(target)) > 5
    assert pts_of(target) == pts_of(source)


def test_audio_that_starts_late_and_outlasts_the_video_is_kept(tmp_path: Path) -> None:
    tones = [Tone(3.0, start=0.34567), Tone(0.2, rate=48000, start=0.12345)]
    exact = {"movie_timescale": "28224000"}
    source = make_video(tmp_path / "a.mp4", audio=tones, muxer_options=exact)
    target = copied(source, tmp_path / "b.mp4")
    for number in (0, 1):
        assert audio_packets(target, number) == audio_packets(source, number)
    assert [a.start for a in probe(target).audio] == [a.start for a in probe(source).audio]
    assert probe(target).audio[0].duration_seconds == probe(source).audio[0].duration_seconds
    assert pts_of(target) == pts_of(source)


def test_mkv_keeps_video_and_audio_in_sync(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", moving_pattern(count=25), audio=[Tone(1.0)])
    target = copied(source, tmp_path / "b.mkv")
    before, after = audio_packets(source), audio_packets(target)
    assert [p for _, p in after] == [p for _, p in before]
    # Matroska has no negative times: AAC's priming may shift the file, but only as a whole
    shifts = [new - old for (old, _), (new, _) in zip(before, after, strict=True)]
    shifts += [new - old for old, new in zip(pts_of(source), pts_of(target), strict=True)]
    assert max(shifts) - min(shifts) <= Fraction(1, 1000)


def test_language_title_and_chapters_are_kept(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "a.mkv",
        moving_pattern(count=50),
        audio=[Tone(metadata={"language": "fra", "title": "Doublage"}), Tone()],
        metadata={"title": "Été", "artist": "nobody"},
        chapters=[("one", 0, 1), ("two", 1, 2)],
    )
    for suffix in (".mkv", ".mp4"):
        target = copied(source, tmp_path / f"b{suffix}")
        with av.open(str(target)) as container:
            assert container.metadata["title"] == "Été"
            assert container.streams.audio[0].language == "fra"
            titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
            assert titles == ["one", "two"]
        assert probe(target).others == ()
        assert len(probe(target).audio) == 2
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.streams.audio[0].metadata["title"] == "Doublage"


def test_audio_and_video_are_interleaved_after_the_index(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", moving_pattern(count=100), audio=[Tone(4.0)])
    target = copied(source, tmp_path / "b.mp4", EncodeSettings(preset="ultrafast"))
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        places = {s.type: [e.pos for e in s.index_entries] for s in container.streams}
    middle = sorted(places["video"])[50]
    assert places["audio"][0] < middle < places["audio"][-1]
