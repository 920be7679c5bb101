"""latentsync.media: what a film is like after it has been read and written, nothing else."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from latentsync.errors import ConfigError, MediaError
from latentsync.media.color import ColorTags
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.target import EncodeSettings, check_target, part_path
from latentsync.media.writer import VideoWriter
from tests.media_factory import (
    Tone,
    audio_packets,
    flat_patches,
    make_film,
    moving_pattern,
    pts_of,
)

FINE = EncodeSettings(crf=1, preset="ultrafast")
QUICK = EncodeSettings(preset="ultrafast")
PATCHES = [(200, 40, 40), (40, 180, 60), (30, 60, 200), (128, 128, 128), (235, 235, 235)]


def copied(source: Path, target: Path, settings: EncodeSettings = QUICK) -> Path:
    """Read the source and write every frame as it is."""
    reader = VideoReader(source)
    with VideoWriter(target, reader.info, settings) as writer:
        for frame in reader:
            writer.write(frame)
    return target


def differences(one: Path, other: Path) -> np.ndarray:
    """Between two films, in levels, of every pixel."""
    pairs = zip(VideoReader(one), VideoReader(other), strict=True)
    return np.stack([np.abs(a.pixels.astype(int) - b.pixels) for a, b in pairs])


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- time ---


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
@pytest.mark.parametrize("rate", [25, Fraction(24000, 1001), Fraction(30000, 1001), 60, 12])
def test_every_frame_keeps_its_time(tmp_path: Path, rate: Fraction | int, suffix: str) -> None:
    source = make_film(tmp_path / "a.mp4", rate=rate)
    target = copied(source, tmp_path / f"b{suffix}")
    assert pts_of(target) == pts_of(source) and len(pts_of(target)) == 10
    assert probe(target).average_rate == Fraction(rate)
    assert probe(target).frame_count == 10


def test_b_frames_do_not_move_time(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", moving_pattern(count=40), audio=[Tone(1.6)])
    target = copied(source, tmp_path / "b.mp4", EncodeSettings(preset="medium"))
    assert pts_of(target) == pts_of(source)


@pytest.mark.parametrize("base", [Fraction(1, 1000), Fraction(1, 12800), Fraction(1, 90000)])
def test_variable_frame_times_are_kept(tmp_path: Path, base: Fraction) -> None:
    milliseconds = [0, 40, 55, 140, 165, 300, 335, 500, 510, 1000]
    pts = [round(m / 1000 / base) for m in milliseconds]
    source = make_film(tmp_path / "a.mov", time_base=base, pts=pts)
    assert pts_of(copied(source, tmp_path / "b.mp4")) == [p * base for p in pts]


def test_mkv_times_go_into_mp4_exactly_and_back_to_the_millisecond(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mkv", rate=Fraction(24000, 1001))
    into_mp4 = copied(source, tmp_path / "b.mp4")
    assert pts_of(into_mp4) == pts_of(source)
    back = copied(into_mp4, tmp_path / "c.mkv")
    assert pts_of(back) == pts_of(source)


def test_mpeg_ts_starts_at_zero_with_its_sound_in_step(tmp_path: Path) -> None:
    source = make_film(
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


# --- picture ---


def test_an_unedited_film_comes_back_as_it_was(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", moving_pattern(192, 128))
    lossless = EncodeSettings(crf=0, preset="ultrafast")
    lost = differences(source, copied(source, tmp_path / "b.mp4", lossless))
    # to RGB and back by the very same matrix and range costs rounding; only the rim of the drawn
    # square, harder than any camera makes one, is more than half-size chroma can hold
    assert lost.mean() < 0.3 and np.quantile(lost, 0.99) <= 3


@pytest.mark.parametrize("full", [False, True], ids=["tv", "pc"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt470bg", "bt2020nc", "unspecified"])
def test_colours_and_tags_survive(tmp_path: Path, matrix: str, full: bool) -> None:
    codes = {"bt709": 1, "smpte170m": 6, "bt470bg": 5, "bt2020nc": 9, "unspecified": 2}
    scaler = {1: Colorspace.ITU709, 9: 9}.get(codes[matrix], Colorspace.ITU601)
    source = make_film(
        tmp_path / "a.mp4",
        [flat_patches(PATCHES)] * 3,
        colors={"colorspace": codes[matrix], "color_range": 2 if full else 1},
        matrix=scaler,
        full_range=full,
    )
    target = copied(source, tmp_path / "b.mp4", FINE)
    assert probe(target).color == probe(source).color
    frame = next(iter(VideoReader(target)))
    # two conversions and an encode at crf 1; a wrong matrix is 20 levels off, a wrong range 15
    assert np.abs(frame.pixels[16, 16::32].astype(int) - PATCHES).max() <= 3


def test_an_untagged_film_stays_untagged(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4")
    for suffix in (".mp4", ".mov", ".mkv"):
        assert probe(copied(source, tmp_path / f"b{suffix}")).color == ColorTags()


def test_primaries_and_transfer_are_carried_over(tmp_path: Path) -> None:
    colors = {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 18}
    source = make_film(tmp_path / "a.mp4", colors=colors, pix_fmt="yuv420p10le")
    expected = ColorTags("bt2020nc", "tv", "bt2020", "arib-std-b67")
    for suffix in (".mp4", ".mkv"):
        assert probe(copied(source, tmp_path / f"b{suffix}")).color == expected


def test_an_rgb_film_gets_the_matrix_that_it_is_written_with(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mkv", [flat_patches(PATCHES)], codec="ffv1", pix_fmt="bgr0")
    target = copied(source, tmp_path / "b.mp4", FINE)
    assert probe(target).color.matrix == "smpte170m" and probe(target).color.range == "tv"
    frame = next(iter(VideoReader(target)))
    assert np.abs(frame.pixels[16, 16::32].astype(int) - PATCHES).max() <= 3


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_film_is_written_upright(tmp_path: Path, degrees: int) -> None:
    turn = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    source = make_film(tmp_path / "a.mp4", turn=turn, pixel_shape=Fraction(4, 3))
    target = copied(source, tmp_path / "b.mp4", FINE)
    info = probe(target)
    assert info.rotation == 0
    assert (info.width, info.height) == ((96, 64) if degrees == 180 else (64, 96))
    assert info.sample_aspect_ratio == (Fraction(4, 3) if degrees == 180 else Fraction(3, 4))
    assert differences(source, target).mean() < 2  # upside down it is 60


@pytest.mark.parametrize(
    ("size", "padding"), [((97, 64), (1, 0)), ((96, 65), (0, 1)), ((97, 65), (1, 1))]
)
def test_odd_sizes_are_padded_by_the_edge_with_a_warning(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    size: tuple[int, int],
    padding: tuple[int, int],
) -> None:
    source = make_film(tmp_path / "a.mkv", moving_pattern(*size), codec="ffv1")
    reader = VideoReader(source)
    with VideoWriter(tmp_path / "b.mp4", reader.info, FINE) as writer:
        for frame in reader:
            writer.write(frame)
    assert writer.padding == padding
    assert any("must be even" in r.message and r.levelno == logging.WARNING for r in caplog.records)
    width, height = size
    for before, after in zip(reader, VideoReader(tmp_path / "b.mp4"), strict=True):
        assert after.pixels.shape == (height + padding[1], width + padding[0], 3)
        inside = after.pixels[: height - 1, : width - 1].astype(int)
        assert np.abs(inside - before.pixels[: height - 1, : width - 1]).mean() < 4


def test_an_odd_size_needs_no_padding_without_subsampled_chroma(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mkv", moving_pattern(97, 65), codec="ffv1")
    settings = EncodeSettings(preset="ultrafast", pix_fmt="yuv444p")
    info = probe(copied(source, tmp_path / "b.mp4", settings))
    assert (info.width, info.height, info.pix_fmt) == (97, 65, "yuv444p")


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p", "yuv422p"])
def test_other_sources_come_out_in_the_format_that_was_asked_for(
    tmp_path: Path, pix_fmt: str
) -> None:
    source = make_film(tmp_path / "a.mp4", pix_fmt=pix_fmt)
    assert probe(copied(source, tmp_path / "b.mp4")).pix_fmt == "yuv420p"
    same = replace(QUICK, pix_fmt=pix_fmt)
    assert probe(copied(source, tmp_path / "c.mp4", same)).pix_fmt == pix_fmt


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_film_stays_interlaced(tmp_path: Path, order: str) -> None:
    source = make_film(tmp_path / "a.mp4", fields=order)
    assert probe(copied(source, tmp_path / "b.mp4")).field_order == order


def test_hevc_is_written_under_the_tag_that_every_player_knows(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4")
    target = copied(source, tmp_path / "b.mp4", EncodeSettings("libx265", preset="ultrafast"))
    assert probe(target).codec == "hevc" and b"hvc1" in target.read_bytes()
    assert pts_of(target) == pts_of(source)


def test_frames_of_another_size_can_be_announced(tmp_path: Path) -> None:
    reader = VideoReader(make_film(tmp_path / "a.mp4"))
    with VideoWriter(tmp_path / "b.mp4", reader.info, QUICK, size=(192, 64)) as writer:
        for frame in reader:
            writer.write(replace(frame, pixels=np.hstack([frame.pixels] * 2)))
    assert (probe(tmp_path / "b.mp4").width, probe(tmp_path / "b.mp4").height) == (192, 64)


# --- sound and words ---


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
def test_sound_is_copied_bit_for_bit(tmp_path: Path, codec: str, suffix: str) -> None:
    tone = Tone(1.0, codec=codec, rate=48000)
    source = make_film(tmp_path / f"a{suffix}", moving_pattern(count=25), audio=[tone])
    target = copied(source, tmp_path / f"b{suffix}")
    assert audio_packets(target) == audio_packets(source)
    assert len(audio_packets(target)) > 5
    assert pts_of(target) == pts_of(source)


def test_sound_that_starts_late_and_outlasts_the_picture_is_kept(tmp_path: Path) -> None:
    tones = [Tone(3.0, start=0.34567), Tone(0.2, rate=48000, start=0.12345)]
    exact = {"movie_timescale": "28224000"}
    source = make_film(tmp_path / "a.mp4", audio=tones, muxer_options=exact)
    target = copied(source, tmp_path / "b.mp4")
    for number in (0, 1):
        assert audio_packets(target, number) == audio_packets(source, number)
    assert [a.start for a in probe(target).audio] == [a.start for a in probe(source).audio]
    assert probe(target).audio[0].duration_seconds == probe(source).audio[0].duration_seconds
    assert pts_of(target) == pts_of(source)


def test_mkv_keeps_picture_and_sound_in_step(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", moving_pattern(count=25), audio=[Tone(1.0)])
    target = copied(source, tmp_path / "b.mkv")
    before, after = audio_packets(source), audio_packets(target)
    assert [p for _, p in after] == [p for _, p in before]
    # Matroska knows no time before zero: AAC's lead-in may push all of the film back, but as one
    shifts = [new - old for (old, _), (new, _) in zip(before, after, strict=True)]
    shifts += [new - old for old, new in zip(pts_of(source), pts_of(target), strict=True)]
    assert max(shifts) - min(shifts) <= Fraction(1, 1000)


def test_language_title_and_chapters_are_kept(tmp_path: Path) -> None:
    source = make_film(
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
        assert probe(target).dropped == ()
        assert len(probe(target).audio) == 2
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.streams.audio[0].metadata["title"] == "Doublage"


def test_sound_and_picture_lie_interleaved_behind_the_index(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mp4", moving_pattern(count=100), audio=[Tone(4.0)])
    target = copied(source, tmp_path / "b.mp4", EncodeSettings(preset="ultrafast"))
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        places = {s.type: [e.pos for e in s.index_entries] for s in container.streams}
    middle = sorted(places["video"])[50]
    assert places["audio"][0] < middle < places["audio"][-1]


# --- complete, or not there at all ---


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(tmp_path: Path, kind: type[BaseException]) -> None:
    reader = VideoReader(make_film(tmp_path / "a.mp4", audio=[Tone(0.4)]))
    with pytest.raises(kind), VideoWriter(tmp_path / "b.mp4", reader.info, QUICK) as writer:
        for frame in reader:
            writer.write(frame)
            if frame.index == 5:
                assert files_in(tmp_path) == {"a.mp4", part_path(tmp_path / "b.mp4").name}
                raise kind
    assert files_in(tmp_path) == {"a.mp4"}


def test_an_older_output_stands_until_the_new_one_is_complete(tmp_path: Path) -> None:
    source, target = make_film(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    target.write_bytes(b"old")
    reader = VideoReader(source)
    with pytest.raises(RuntimeError), VideoWriter(target, reader.info, QUICK) as writer:
        writer.write(next(iter(reader)))
        raise RuntimeError
    assert target.read_bytes() == b"old"
    copied(source, target)
    assert len(pts_of(target)) == 10
    assert files_in(tmp_path) == {"a.mp4", "b.mp4"}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond that many bytes: what a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("room", [0, 60_000], ids=["none", "a little"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, suffix: str, room: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 128, 192, 3), np.uint8)
    source = make_film(tmp_path / "a.mp4", noise, options={"preset": "ultrafast"})
    with disk_of(room), pytest.raises(MediaError, match="cannot write the output") as error:
        copied(source, tmp_path / f"b{suffix}", EncodeSettings(crf=1, preset="ultrafast"))
    assert "\n" not in str(error.value)
    assert files_in(tmp_path) == {"a.mp4"}


def test_an_encoder_that_refuses_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    source = make_film(tmp_path / "a.mkv", moving_pattern(8, 8, 2), codec="ffv1")
    with pytest.raises(MediaError, match="encoder") as error:
        copied(source, tmp_path / "b.mp4", EncodeSettings("libx265"))  # asks for 16 pixels at least
    assert "\n" not in str(error.value)
    assert files_in(tmp_path) == {"a.mkv"}


def test_a_film_without_frames_is_not_written(tmp_path: Path) -> None:
    info = probe(make_film(tmp_path / "a.mp4"))
    with (
        pytest.raises(MediaError, match="not one frame"),
        VideoWriter(tmp_path / "b.mp4", info, QUICK),
    ):
        pass
    assert files_in(tmp_path) == {"a.mp4"}


def test_frames_out_of_order_or_of_the_wrong_size_are_a_bug(tmp_path: Path) -> None:
    reader = VideoReader(make_film(tmp_path / "a.mp4"))
    frame = next(iter(reader))
    with (
        pytest.raises(ValueError, match="rise"),
        VideoWriter(tmp_path / "b.mp4", reader.info, QUICK) as w,
    ):
        w.write(frame)
        w.write(frame)
    with (
        pytest.raises(ValueError, match="shape"),
        VideoWriter(tmp_path / "b.mp4", reader.info, QUICK) as w,
    ):
        w.write(replace(frame, pixels=frame.pixels[:-2]))
    assert files_in(tmp_path) == {"a.mp4"}


@pytest.mark.parametrize(
    "name", ["a b.mp4", 'it\'s "x";.mp4', "ünïcødé 嘴.mov", "-dash.mp4", "a:b.mkv"]
)
def test_odd_names_and_new_folders_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = make_film(tmp_path / "a.mp4", audio=[Tone(0.4)])
    monkeypatch.chdir(tmp_path)
    copied(source, Path("new folder", "deep") / name)
    assert files_in(tmp_path / "new folder" / "deep") == {name}
    copied(source, Path(name))
    assert len(pts_of(tmp_path / name)) == 10


# --- asked before any work is done ---


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    return probe(make_film(tmp_path_factory.mktemp("film") / "a.mp4", audio=[Tone(0.4)]))


def refusal(target: Path, source: VideoInfo, settings: EncodeSettings = QUICK) -> str:
    with pytest.raises((MediaError, ConfigError)) as error:
        check_target(target, source, settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_good_target_passes_and_nothing_is_made(tmp_path: Path, film: VideoInfo) -> None:
    check_target(tmp_path / "new" / "folder" / "b.mp4", film, EncodeSettings())
    assert files_in(tmp_path) == set()


def test_the_input_is_never_the_output(tmp_path: Path, film: VideoInfo) -> None:
    link, hard = tmp_path / "link.mp4", tmp_path / "hard.mp4"
    link.symlink_to(film.path)
    os.link(film.path, hard)
    roundabout = film.path.parent / ".." / film.path.parent.name / film.path.name
    for target in (film.path, link, hard, roundabout):
        assert "is the input" in refusal(target, film)


def test_places_where_nothing_can_be_written(tmp_path: Path, film: VideoInfo) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.mp4").mkdir()
    assert "folder" in refusal(tmp_path / "folder.mp4", film)
    assert "is a file" in refusal(tmp_path / "file" / "deeper" / "b.mp4", film)
    assert "too long" in refusal(tmp_path / f"{'x' * 250}.mp4", film)


def test_write_protection_is_seen_before_the_work(
    tmp_path: Path, film: VideoInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.geteuid() == 0:  # nothing is locked to root: ask as somebody else would be answered
        monkeypatch.setattr(
            os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o200)
        )
    assert "write-protected" in refusal(folder / "b.mp4", film)
    old = tmp_path / "old.mp4"
    old.write_text("x")
    old.chmod(0o400)
    assert "write-protected" in refusal(old, film)


@pytest.mark.parametrize("name", ["b.avi", "b", "b.png", ".mp4"])
def test_unknown_suffixes_are_refused_with_the_known_ones(
    tmp_path: Path, film: VideoInfo, name: str
) -> None:
    assert ".mkv" in refusal(tmp_path / name, film)


def test_sound_that_the_container_cannot_hold_names_one_that_can(tmp_path: Path) -> None:
    tone = Tone(0.4, codec="pcm_mulaw", rate=8000)
    source = probe(make_film(tmp_path / "a.mov", audio=[tone]))
    text = refusal(tmp_path / "b.mp4", source)
    assert "pcm_mulaw" in text and ".mov" in text
    check_target(tmp_path / "b.mov", source, QUICK)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (EncodeSettings(codec="libx266"), "libx264 or libx265"),
        (EncodeSettings(preset="hasty"), "veryfast"),
        (EncodeSettings(crf=52), "0 (lossless) to 51"),
        (EncodeSettings(crf=-1), "0 (lossless) to 51"),
        (EncodeSettings(pix_fmt="rgb24"), "yuv420p"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, film: VideoInfo, settings: EncodeSettings, says: str
) -> None:
    assert says in refusal(tmp_path / "b.mp4", film, settings)
