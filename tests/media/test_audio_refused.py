"""Audio that cannot be used is refused before any work; nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from latentsync.errors import MediaError
from latentsync.media.probe import probe
from latentsync.media.settings import NewAudio
from latentsync.media.target import check_target
from tests.support.dubbing import QUICK, dubbed, two_track_video, write_wav
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern


def test_audio_that_cannot_be_read_is_refused_before_any_work(tmp_path: Path) -> None:
    info = probe(two_track_video(tmp_path))
    (tmp_path / "noise.wav").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "empty.wav").write_bytes(b"")
    silent = make_video(tmp_path / "silent.mp4")
    for path in (tmp_path / "none.wav", tmp_path / "noise.wav", tmp_path / "empty.wav", silent):
        with pytest.raises(MediaError) as error:
            check_target(tmp_path / "b.mp4", info, QUICK, NewAudio(path))
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def garbage(path: Path, codec: str) -> Path:
    """A video whose audio packets cannot be decoded."""
    whole = make_video(
        path.with_name("whole.mkv"), moving_pattern(), audio=[Tone(0.4, codec=codec)]
    )
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        streams = [output.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is None:
                continue
            kept = packet.stream.type == "video"
            copy = av.Packet(bytes(packet) if kept else b"\x00garbage" * 40)
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, streams[packet.stream_index]
            output.mux(copy)
    return path


def test_audio_that_can_be_neither_copied_nor_decoded_is_refused_before_any_work(
    tmp_path: Path,
) -> None:
    info = probe(garbage(tmp_path / "a.mkv", "flac"))
    with pytest.raises(MediaError, match=r"#1 \(flac\) can be neither copied nor decoded") as error:
        check_target(tmp_path / "b.mov", info, QUICK)
    assert ".mkv" in str(error.value) and "\n" not in str(error.value)
    assert check_target(tmp_path / "b.mkv", info, QUICK).notes == ()


def test_replaced_audio_need_not_fit_the_target(tmp_path: Path) -> None:
    tone = Tone(codec="pcm_s16be", rate=48000)
    source = make_video(tmp_path / "video.mov", moving_pattern(count=25), audio=[tone])
    audio = make_audio(tmp_path / "a.wv", Tone(codec="wavpack"))
    info = probe(source)
    check_target(tmp_path / "b.mp4", info, QUICK, NewAudio(audio))
    assert probe(dubbed(source, tmp_path / "b.mp4", audio)).audio[0].codec == "aac"


def test_the_output_cannot_be_the_new_audio(tmp_path: Path) -> None:
    audio = make_audio(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match="the output is the input"):
        check_target(audio, probe(two_track_video(tmp_path)), QUICK, NewAudio(audio))


def test_nothing_is_left_where_the_audio_is_empty(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    audio = write_wav(tmp_path / "a.wav", seconds=0.0)
    with pytest.raises(MediaError, match="no sample"):
        dubbed(two_track_video(tmp_path), tmp_path / "out" / "b.mp4", audio)
    assert list((tmp_path / "out").iterdir()) == []
