"""Streams beside video and audio are carried, converted or named; broadcast files are read."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.media.probe import VideoInfo, probe
from latentsync.media.settings import EncodeSettings, NewAudio
from latentsync.media.target import check_target
from tests.support import rich_files
from tests.support.copying import copied
from tests.support.dubbing import dubbed, write_wav
from tests.support.media_factory import Tone, make_video

FAST = {"preset": "ultrafast"}


def words_in(path: Path) -> list[tuple[float, float, bytes]]:
    """Begin and end [seconds] and payload of every subtitle shown."""
    with av.open(str(path)) as container:
        packets = list(container.demux(container.streams.subtitles[0]))
        return [
            (float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base), bytes(p))
            for p in packets
            if p.size > 2  # an MP4 has empty ones in between
        ]


def chapters_in(path: Path) -> np.ndarray:
    """(N, 2): begin and end [seconds]."""
    found = probe(path).chapters
    return np.array(
        [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in found], float
    )


def languages(info: VideoInfo) -> list[str]:
    return [audio.metadata["language"] for audio in info.audio]


@pytest.mark.parametrize(
    ("suffix", "payload"),
    [(".mp4", b"Tom & Jerry"), (".mkv", b"<b>Tom</b> & Jerry"), (".webm", b"Tom</b> &amp; Jerry")],
)
def test_bold_words_and_an_ampersand_are_kept(tmp_path: Path, suffix: str, payload: bytes) -> None:
    source = rich_files.rich_mkv(tmp_path / "a.mkv", words="<b>Tom</b> & Jerry")
    made = copied(source, tmp_path / f"b{suffix}", EncodeSettings(preset="ultrafast"))
    ((begin, end, shown),) = words_in(made)
    assert payload in shown and (b"styl" in shown) == (suffix == ".mp4")
    assert (round(begin, 2), round(end, 2)) == (0.2, 0.6)


def test_a_subtitle_ends_with_the_video_under_shorter_speech(tmp_path: Path) -> None:
    source = rich_files.rich_mkv(tmp_path / "a.mkv")
    speech = write_wav(tmp_path / "speech.wav", seconds=0.4, click=0.1)
    ((begin, end, _),) = words_in(dubbed(source, tmp_path / "b.mkv", speech, seconds=0.4))
    assert (round(begin, 2), round(end, 2)) == (0.2, 0.4)
    assert [c["metadata"]["title"] for c in probe(tmp_path / "b.mkv").chapters] == ["one"]


def test_subtitles_and_chapters_move_with_a_video_that_is_remapped(tmp_path: Path) -> None:
    source = rich_files.rich_mkv(tmp_path / "a.mkv")
    before = chapters_in(source)
    speech = write_wav(tmp_path / "speech.wav", seconds=1.5, click=0.1)
    made = dubbed(source, tmp_path / "b.mkv", speech, seconds=1.5, stretch=1.25)
    ((begin, end, _),) = words_in(made)
    assert (round(begin, 2), round(end, 2)) == (0.25, 0.75)
    assert chapters_in(made) == pytest.approx(np.minimum(1.25 * before, 1.5), abs=0.001)


def test_new_audio_in_place_of_several_tracks_is_named_before_the_work(tmp_path: Path) -> None:
    source = probe(rich_files.rich_mkv(tmp_path / "a.mkv"))
    speech = NewAudio(write_wav(tmp_path / "speech.wav"))
    said = check_target(tmp_path / "b.mkv", source, EncodeSettings(), speech).carried
    assert said.endswith("in place of all tracks: #1 audio aac (eng), #2 audio aac (fra)")
    assert check_target(tmp_path / "b.mkv", source, EncodeSettings()).carried == ""


def test_a_transport_stream_keeps_its_languages_and_begins_at_zero(tmp_path: Path) -> None:
    tones = [Tone(0.5, metadata={"language": code}) for code in ("eng", "fra")]
    late = {"output_ts_offset": "5"}
    source = make_video(tmp_path / "a.ts", audio=tones, options=FAST, muxer_options=late)
    made = probe(copied(source, tmp_path / "b.mp4"))
    assert languages(made) == ["eng", "fra"]
    assert made.start < 0.1 < probe(source).origin


def test_an_mxf_keeps_its_timecode_and_nothing_that_describes_the_old_file(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "a.mxf",
        codec="mpeg2video",
        options={"qscale": "2"},
        audio=[Tone(0.4, rate=48000, codec="pcm_s16le")],
        metadata={"timecode": rich_files.TIMECODE},
    )
    made = probe(copied(source, tmp_path / "b.mp4"))
    assert [other.timecode for other in made.others] == [rich_files.TIMECODE]
    assert made.audio[0].codec == "aac"
    assert not any("umid" in key or "company" in key for key in made.file_metadata)
