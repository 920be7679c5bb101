"""The whole command on a folder as users have them: clips, lists, shards, table, overview."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from latentsync.commands import prepare_data
from latentsync.media.probe import probe
from latentsync.training.preparation.frames import SteadyFrames
from tests.support.media_factory import Tone, cut, make_audio, make_video
from tests.support.preparing import FLAGS, TALKING, begun, hashes


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "raw"
    (folder / "sub").mkdir(parents=True)
    begun(TALKING, folder / "talking.mp4", 2.4)
    shutil.copy(folder / "talking.mp4", folder / "sub" / "the same.mp4")
    shutil.copy(TALKING, folder / "truncated.mp4")
    cut(folder / "truncated.mp4", 0.5)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("no video")
    make_audio(folder / "audio.mp4", Tone(3.0))
    make_video(folder / "mute.mp4")
    make_video(folder / "slow.mp4", rate=10, audio=[Tone(1.0)])
    (folder / "loop.mp4").symlink_to("loop.mp4")
    return folder


@pytest.fixture(scope="module")
def data(raw: Path) -> Iterator[Path]:
    output, before = raw.parent / "data", hashes(raw)
    assert prepare_data.main([str(raw), str(output), *FLAGS]) == 0
    assert hashes(raw) == before
    yield output


def verdicts(data: Path) -> dict[str, str]:
    """Name of a file -> its last step and verdict."""
    with (data / "clips.csv").open(newline="") as file:
        return {row["source"]: f"{row['step']} {row['verdict']}" for row in csv.DictReader(file)}


def test_each_file_has_its_verdict(data: Path) -> None:
    readable = ("audio.mp4", "empty.mp4", "loop.mp4", "mute.mp4", "notes.txt", "truncated.mp4")
    expected = dict.fromkeys(readable, "readable dropped")
    expected |= {"slow.mp4": "rate dropped", "talking.mp4": "duplicate dropped"}
    assert verdicts(data) == {**expected, "sub/the same.mp4": "quality kept"}


def test_the_clip_is_an_aligned_face_with_its_audio_in_list_shard_and_page(
    raw: Path, data: Path
) -> None:
    length = sum(1 for _ in SteadyFrames(probe(raw / "talking.mp4")))
    (line,) = (data / "train.txt").read_text().splitlines()
    with av.open(line) as container:
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert (video.width, video.height, video.average_rate, video.frames) == (
            256,
            256,
            25,
            length,
        )
        assert (audio.codec.name, audio.sample_rate) == ("alac", 16000)
    assert (data / "validation.txt").read_text() == ""  # of one speaker
    assert [path.name for path in (data / "shards").glob("*.tar")] == ["train-000000.tar"]
    page = (data / "overview.html").read_text()
    assert Path(line).stem in page and "truncated.mp4" in page and "data:image/webp" in page


def test_a_second_run_makes_no_clip_again_and_removes_what_a_killed_one_left(
    raw: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = (data / "train.txt").read_text().splitlines()
    before = Path(line).stat()
    (data / "clips" / ".part-half.1").mkdir()
    os.utime(data / "clips" / ".part-half.1", (0, 0))
    assert prepare_data.main([str(raw), str(data), *FLAGS]) == 0
    assert (Path(line).stat().st_ino, Path(line).stat().st_mtime) == (
        before.st_ino,
        before.st_mtime,
    )
    assert not list((data / "clips").glob(".part*"))
    printed = capsys.readouterr()
    assert "0 s of video to prepare" in printed.err
    assert "NOT JUDGED 1" in printed.out and "SyncNet's weights are not here" in printed.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--resolution", "300"], "--resolution: 300"),
        (["--skip", "readable"], "--skip: readable"),
        (["--workers", "0"], "--workers: 0"),
        (["--shards", "many"], "--shards: many"),
        (["--need_syncnet"], "--need_syncnet"),
        (["--validation", "80"], "--validation: 80"),
    ],
)
def test_a_wrong_flag_is_one_line_before_any_work(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    assert prepare_data.main([str(raw), str(tmp_path / "new"), *flags, "--offline"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {said}") and not (tmp_path / "new").exists()


def test_a_cluster_without_ray_is_one_line_before_any_work(
    raw: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    flags = ["--cluster", "auto", "--offline"]
    assert prepare_data.main([str(raw), str(tmp_path / "new"), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install '.[cluster]'" in line and not (tmp_path / "new").exists()


def test_nothing_is_written_among_the_videos(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes(raw)
    assert prepare_data.main([str(raw), str(raw / "data"), "--offline"]) == 2
    assert "lies in the input folder" in capsys.readouterr().err
    assert hashes(raw) == before
