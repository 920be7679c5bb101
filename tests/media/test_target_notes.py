"""What an output does not keep of the frames is logged and returned."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.target import check_target
from latentsync.media.writer import VideoWriter
from tests.support.copying import QUICK, copied
from tests.support.media_factory import Tone, make_video

HLG = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 18}
TURNED = (0, 1, -1, 0)


def video(path: Path, **kwargs: object) -> VideoInfo:
    return probe(make_video(path, **kwargs))


def notes(source: VideoInfo, **settings: str) -> tuple[str, ...]:
    target = source.path.with_name("out.mp4")
    return check_target(target, source, replace(QUICK, **settings)).notes


def test_an_ordinary_video_has_no_notes(tmp_path: Path) -> None:
    assert notes(video(tmp_path / "a.mp4", audio=[Tone(0.4)])) == ()


def test_a_ten_bit_output_is_eight_bit_internally(tmp_path: Path) -> None:
    (note,) = notes(video(tmp_path / "a.mp4"), pix_fmt="yuv420p10le")
    assert "yuv420p10le" in note and "8 bit" in note and "name only" in note and "\n" not in note


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_a_ten_bit_source_is_reduced_to_eight(tmp_path: Path, pix_fmt: str) -> None:
    source = video(tmp_path / "a.mp4", pix_fmt="yuv422p10le")
    said = [f"{source.path} has 10 bits per channel: 8 are kept"]
    assert list(notes(source, pix_fmt=pix_fmt))[:1] == said
    assert len(notes(source, pix_fmt=pix_fmt)) == (1 if pix_fmt == "yuv420p" else 2)


def test_hdr_gets_one_note(tmp_path: Path) -> None:
    (note,) = notes(video(tmp_path / "a.mp4", pix_fmt="yuv420p10le", colors=HLG))
    assert "is HDR: only 8 bits" in note


def test_dropped_alpha_is_noted(tmp_path: Path) -> None:
    (note,) = notes(video(tmp_path / "a.mkv", codec="ffv1", pix_fmt="yuva420p"))
    assert "alpha channel" in note and str(tmp_path / "a.mkv") in note


def test_alpha_is_detected_even_if_no_decoder_returns_it(tmp_path: Path) -> None:
    quick = {"deadline": "realtime"}
    source = video(tmp_path / "a.webm", codec="libvpx-vp9", pix_fmt="yuva420p", options=quick)
    assert source.pix_fmt == "yuv420p" and "alpha channel" in notes(source)[0]
    assert notes(probe(copied(source.path, tmp_path / "b.mkv"))) == (), "the output claims none"


def test_lost_interlacing_is_noted(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", fields="tff")
    assert notes(source) == ()
    (note,) = notes(source, codec="libx265")
    assert "interlaced" in note
    (note,) = notes(video(tmp_path / "b.mp4", fields="tff", turn=TURNED))
    assert "interlaced" in note


def test_an_unsupported_colour_matrix_is_noted(tmp_path: Path) -> None:
    (note,) = notes(video(tmp_path / "a.mp4", colors={"colorspace": 8}))
    assert "ycgco" in note


def test_the_writer_has_them_all_and_logs_each_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tone = Tone(0.4, codec="pcm_s16le")
    source = video(tmp_path / "a.mkv", codec="ffv1", pix_fmt="yuva444p10le", audio=[tone])
    target, settings = tmp_path / "b.mp4", replace(QUICK, pix_fmt="yuv420p10le")
    with VideoWriter(target, source, settings, plan=check_target(target, source, settings)) as out:
        for frame in VideoReader(source):
            out.write(frame)
    wanted = ["alpha", "10 bits per channel: 8", "name only", "encoded to AAC"]
    assert [word in note for word, note in zip(wanted, out.notes, strict=True)] == [True] * 4
    logged = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert logged == out.notes
