"""What an output does not keep of the frames is logged and returned."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.media.hdr import HdrMetadata
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import USUAL_ROI_OFFSET, EncodeSettings
from latentsync.media.target import check_target
from latentsync.media.writer import VideoWriter
from latentsync.settings.schema import OutputConfig
from tests.support.copying import QUICK, copied
from tests.support.media_factory import Tone, make_video

HLG = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 18}
TURNED = (0, 1, -1, 0)


def video(path: Path, **kwargs: object) -> VideoInfo:
    return probe(make_video(path, **kwargs))


def notes(source: VideoInfo, *, target: str = "out.mp4", **settings: str) -> tuple[str, ...]:
    asked = EncodeSettings(**settings)
    return check_target(source.path.with_name(target), source, asked).notes


def test_an_ordinary_video_has_no_notes(tmp_path: Path) -> None:
    assert notes(video(tmp_path / "a.mp4", audio=[Tone(0.4)])) == ()


def test_a_ten_bit_output_of_eight_bits_is_one_in_name_only(tmp_path: Path) -> None:
    (note,) = notes(video(tmp_path / "a.mp4"), pix_fmt="yuv420p10le")
    assert "yuv420p10le" in note and "8 bit" in note and "name only" in note and "\n" not in note


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv422p", "yuv444p"])
def test_what_is_kept_has_no_note(tmp_path: Path, pix_fmt: str) -> None:
    assert notes(video(tmp_path / "a.mp4", pix_fmt=pix_fmt)) == ()


def test_hdr_is_kept_without_a_note(tmp_path: Path) -> None:
    assert notes(video(tmp_path / "a.mp4", pix_fmt="yuv420p10le", colors=HLG)) == ()


def test_bits_and_chroma_that_the_format_lacks_are_noted(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4", pix_fmt="yuv422p10le")
    assert notes(source, pix_fmt="yuv420p") == (
        f"{source.path} has 10 bits per channel: 8 are kept (libx264, yuv420p)",
        f"{source.path} has 4:2:2 chroma: 4:2:0 chroma is kept (libx264, yuv420p)",
    )
    deeper = video(tmp_path / "b.mkv", codec="ffv1", pix_fmt="yuv420p12le")
    assert "12 bits per channel: 10 are kept" in notes(deeper, codec="libx264")[0]
    assert notes(deeper, codec="ffv1", target="out.mkv") == ()


def test_data_that_no_encoder_takes_is_noted(tmp_path: Path) -> None:
    source = video(tmp_path / "a.mp4")
    hdr = HdrMetadata(light=(1000, 400), dynamic=("Dolby Vision metadata",))
    rich = replace(source, hdr=hdr)
    assert notes(rich) == (f"{source.path}: Dolby Vision metadata is not kept",)
    (lost, _) = notes(rich, codec="prores_ks", target="out.mov")
    assert "mastering display and content light" in lost


@pytest.mark.parametrize(
    ("codec", "given", "said"),
    [
        ("prores_ks", {"crf": 14}, ["output.crf=14"]),
        ("ffv1", {"preset": "fast", "roi_offset": 4}, ["output.preset=fast", "output.finer_mouth"]),
        ("libsvtav1", {"crf": 14, "preset": "fast", "roi_offset": 10}, []),
        ("libx265", {"crf": 14, "preset": "fast", "roi_offset": 4}, []),
    ],
)
def test_settings_without_effect_are_noted_unless_they_are_defaults(
    tmp_path: Path, codec: str, given: dict[str, object], said: list[str]
) -> None:
    assert OutputConfig().finer_mouth == USUAL_ROI_OFFSET
    source = video(tmp_path / "a.mp4")
    target, settings = tmp_path / "out.mkv", EncodeSettings(codec, **given)
    found = check_target(target, source, settings).notes
    assert [start in note for start, note in zip(said, found, strict=True)] == [True] * len(said)


def test_a_format_for_few_players_is_noted_where_the_source_has_another_codec(
    tmp_path: Path,
) -> None:
    source = video(tmp_path / "a.avi", codec="mjpeg", pix_fmt="yuvj422p", options={})
    (note,) = notes(source)
    assert "yuv422p" in note and "few players" in note and "output.pix_fmt=yuv420p" in note


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
    target, settings = tmp_path / "b.mp4", replace(QUICK, pix_fmt="yuv420p")
    with VideoWriter(target, source, settings, plan=check_target(target, source, settings)) as out:
        for frame in VideoReader(source):
            out.write(frame)
    wanted = ["alpha", "10 bits per channel: 8", "4:4:4 chroma", "encoded to AAC"]
    assert [word in note for word, note in zip(wanted, out.notes, strict=True)] == [True] * 4
    logged = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert logged == out.notes
