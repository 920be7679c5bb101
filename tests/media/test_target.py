"""An output is complete or not there at all; what cannot be written is refused before any work."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import ConfigError, MediaError
from latentsync.media import writer
from latentsync.media.indexed import IndexedReader
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.target import check_target
from latentsync.media.writer import VideoWriter
from tests.support.copying import QUICK, copied, files_in
from tests.support.media_factory import (
    Tone,
    make_video,
    moving_pattern,
    pts_of,
)

# --- complete, or not there at all ---


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(tmp_path: Path, kind: type[BaseException]) -> None:
    reader = VideoReader(make_video(tmp_path / "a.mp4", audio=[Tone(0.4)]))
    with pytest.raises(kind), VideoWriter(tmp_path / "b.mp4", reader.info, QUICK) as writer:
        for frame in reader:
            writer.write(frame)
            if frame.index == 5:
                growing = files_in(tmp_path) - {"a.mp4"}
                assert [name[:7] for name in growing] == [".b.mp4."]
                raise kind
    assert files_in(tmp_path) == {"a.mp4"}


def test_an_older_output_is_kept_until_the_new_one_is_complete(tmp_path: Path) -> None:
    source, target = make_video(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    target.write_bytes(b"old")
    reader = VideoReader(source)
    with pytest.raises(RuntimeError), VideoWriter(target, reader.info, QUICK) as writer:
        writer.write(next(iter(reader)))
        raise RuntimeError
    assert target.read_bytes() == b"old"
    copied(source, target)
    assert len(pts_of(target)) == 10
    assert files_in(tmp_path) == {"a.mp4", "b.mp4"}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_source_that_is_shorter_the_second_time_leaves_the_older_output(
    tmp_path: Path, suffix: str
) -> None:
    tone = Tone(1.0, codec="pcm_mulaw", rate=8000)  # encoded while it is written
    source = make_video(tmp_path / "a.avi", audio=[tone])
    target = tmp_path / f"b{suffix}"
    target.write_bytes(b"old")
    reader = IndexedReader(source, range(20))  # there are 10
    with (
        pytest.raises(MediaError, match="ends before frame 10"),
        VideoWriter(target, reader.info, QUICK) as output,
    ):
        for frame in reader:
            output.write(frame)
    assert target.read_bytes() == b"old"
    assert files_in(tmp_path) == {"a.avi", target.name}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond that many bytes, as on a full disk."""
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
    source = make_video(tmp_path / "a.mp4", noise, options={"preset": "ultrafast"})
    with disk_of(room), pytest.raises(MediaError, match="cannot write the output") as error:
        copied(source, tmp_path / f"b{suffix}", EncodeSettings(crf=1, preset="ultrafast"))
    assert "\n" not in str(error.value)
    assert files_in(tmp_path) == {"a.mp4"}


def test_an_encoder_that_refuses_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", moving_pattern(8, 8, 2), codec="ffv1")
    with pytest.raises(MediaError, match="encoder") as error:
        copied(source, tmp_path / "b.mp4", EncodeSettings("libx265"))  # asks for 16 pixels at least
    assert "\n" not in str(error.value)
    assert files_in(tmp_path) == {"a.mkv"}


def test_a_video_without_frames_is_not_written(tmp_path: Path) -> None:
    info = probe(make_video(tmp_path / "a.mp4"))
    with (
        pytest.raises(MediaError, match="no frame for"),
        VideoWriter(tmp_path / "b.mp4", info, QUICK),
    ):
        pass
    assert files_in(tmp_path) == {"a.mp4"}


def test_frames_out_of_order_or_of_the_wrong_size_are_a_bug(tmp_path: Path) -> None:
    reader = VideoReader(make_video(tmp_path / "a.mp4"))
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
    source = make_video(tmp_path / "a.mp4", audio=[Tone(0.4)])
    monkeypatch.chdir(tmp_path)
    copied(source, Path("new folder", "deep") / name)
    assert files_in(tmp_path / "new folder" / "deep") == {name}
    copied(source, Path(name))
    assert len(pts_of(tmp_path / name)) == 10


# --- before any work is done ---


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    return probe(make_video(tmp_path_factory.mktemp("video") / "a.mp4", audio=[Tone(0.4)]))


def refusal(target: Path, source: VideoInfo, settings: EncodeSettings = QUICK) -> str:
    with pytest.raises((MediaError, ConfigError)) as error:
        check_target(target, source, settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_good_target_passes_and_nothing_is_made(tmp_path: Path, video: VideoInfo) -> None:
    check_target(tmp_path / "new" / "folder" / "b.mp4", video, EncodeSettings())
    assert files_in(tmp_path) == set()


def test_the_input_is_never_the_output(tmp_path: Path, video: VideoInfo) -> None:
    link, hard = tmp_path / "link.mp4", tmp_path / "hard.mp4"
    link.symlink_to(video.path)
    os.link(video.path, hard)
    roundabout = video.path.parent / ".." / video.path.parent.name / video.path.name
    for target in (video.path, link, hard, roundabout):
        assert "is the input" in refusal(target, video)


def test_places_where_nothing_can_be_written(tmp_path: Path, video: VideoInfo) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.mp4").mkdir()
    assert "folder" in refusal(tmp_path / "folder.mp4", video)
    assert "is a file" in refusal(tmp_path / "file" / "deeper" / "b.mp4", video)
    assert "too long" in refusal(tmp_path / f"{'x' * 250}.mp4", video)


def test_write_protection_is_seen_before_the_work(
    tmp_path: Path, video: VideoInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.geteuid() == 0:  # root may write everywhere: simulate another user
        monkeypatch.setattr(
            os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o200)
        )
    assert "write-protected" in refusal(folder / "b.mp4", video)
    old = tmp_path / "old.mp4"
    old.write_text("x")
    old.chmod(0o400)
    assert "write-protected" in refusal(old, video)


@pytest.mark.parametrize("name", ["b.avi", "b", "b.png", ".mp4"])
def test_unknown_suffixes_are_refused_with_the_known_ones(
    tmp_path: Path, video: VideoInfo, name: str
) -> None:
    assert ".mkv" in refusal(tmp_path / name, video)


def test_what_the_encoder_refuses_is_known_before_any_work(tmp_path: Path) -> None:
    small = probe(make_video(tmp_path / "a.mkv", moving_pattern(8, 8, 2), codec="ffv1"))
    text = refusal(tmp_path / "b.mp4", small, EncodeSettings("libx265"))  # 16 pixels at least
    assert "another encoder" in text
    check_target(tmp_path / "b.mp4", small, EncodeSettings("libx264"))
    check_target(tmp_path / "b.mp4", small, EncodeSettings("libx265"), size=(32, 32))
    assert files_in(tmp_path) == {"a.mkv"}


def test_a_given_plan_is_not_made_again(
    tmp_path: Path, video: VideoInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = check_target(tmp_path / "b.mp4", video, QUICK)
    monkeypatch.setattr(writer, "check_target", None)
    with VideoWriter(tmp_path / "b.mp4", video, QUICK, plan=plan) as output:
        for frame in VideoReader(video):
            output.write(frame)
    assert [audio.codec for audio in probe(tmp_path / "b.mp4").audio] == ["aac"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (EncodeSettings(codec="libx266"), "libx264, libx265"),
        (EncodeSettings(preset="hasty"), "veryfast"),
        (EncodeSettings(crf=52), "0 (lossless) to 51"),
        (EncodeSettings(crf=-1), "0 (lossless) to 51"),
        (EncodeSettings(pix_fmt="rgb24"), "yuv420p"),
        (EncodeSettings(audio="mp3"), "auto, aac or alac"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, video: VideoInfo, settings: EncodeSettings, says: str
) -> None:
    assert says in refusal(tmp_path / "b.mp4", video, settings)
