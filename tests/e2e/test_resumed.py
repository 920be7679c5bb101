"""scripts.inference --resume: what was made before a stop is used, and the frames are the same."""

from __future__ import annotations

import errno
import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from latentsync.commands import work
from latentsync.media.reader import VideoReader
from latentsync.pipeline import writing
from latentsync.pipeline.segments import render
from latentsync.pipeline.segments.finishing import Finishing
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from tests.support.media_factory import Tone, make_video

FAST = ("restore.when=always", "output.codec=ffv1", "face.occlusion=off")


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    """15 frames, 0.6 s: three segments."""
    return make_video(tmp_path / "in ü.mp4", [*demo_frames, *demo_frames[:3]], audio=[Tone(0.6)])


@pytest.fixture
def target(tmp_path, monkeypatch) -> Path:
    short = functools.partial(render.render_resumable, seconds=0.19)
    monkeypatch.setattr(work, "render_resumable", short)
    return tmp_path / "out" / "out.mkv"


def stopped_at(number: int, error: BaseException):
    """A make() that ends the run when it begins that segment."""
    make = render.InSegments.make

    def stopped(self, session, output, plan, which, *more):
        if which == number:
            raise error
        make(self, session, output, plan, which, *more)

    return stopped


def resumed(run, video: Path, target: Path, *more: str):
    return run("-i", video, "-o", target, *FAST, "--resume", *more)


def frames(path: Path) -> list[np.ndarray]:
    return [frame.pixels for frame in VideoReader(path)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_after_ctrl_c_it_goes_on_and_the_frames_are_the_whole_s(
    video, target, tmp_path, run, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(render.InSegments, "make", stopped_at(1, KeyboardInterrupt()))
        result = resumed(run, video, target)
    assert result.code == 130
    assert result.err.splitlines()[-1] == "interrupted; the same command goes on from here"
    assert not target.exists() and folder_of(target).is_dir()
    result = resumed(run, video, target)
    assert result.code == 0, result.err
    assert "1 of 3 segments were there from before" in result.err
    assert run("-i", video, "-o", tmp_path / "whole.mkv", *FAST).code == 0
    assert np.array_equal(frames(target), frames(tmp_path / "whole.mkv"))
    assert names(target.parent) == ["out.mkv", "out.report.json"]
    assert "already exists" in resumed(run, video, target).err


def test_a_full_disk_is_one_line_and_other_settings_begin_anew(video, target, run, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr("latentsync.media.segment_file.flush", _raising(full))
        result = resumed(run, video, target)
    assert result.code == 2
    assert "cannot write a segment" in result.err.splitlines()[-1]
    assert "No space left" in result.err.splitlines()[-1]
    result = resumed(run, video, target, "restore.strength=0.5")
    assert result.code == 0, result.err
    assert "the settings changed since the last run: all of it is made again" in result.err
    assert names(target.parent) == ["out.mkv", "out.report.json"]


def _raising(error: BaseException):
    def fail(*_args: object) -> None:
        raise error

    return fail


def test_a_run_that_ends_between_the_output_and_its_report_is_finished(
    video, target, run, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_report", _raising(KeyboardInterrupt()))
        assert resumed(run, video, target).code == 130
    assert names(target.parent) == [".out.mkv.part.lock", "out.mkv", "out.mkv.part"]
    made = target.read_bytes()
    target.write_bytes(b"the user's own")
    assert "already exists" in resumed(run, video, target).err
    assert target.read_bytes() == b"the user's own"
    target.write_bytes(made)
    result = resumed(run, video, target)
    assert result.code == 0 and "3 of 3 segments were there" in result.err
    report = json.loads(target.with_suffix(".report.json").read_text())
    assert report["frames"]["total"] == len(frames(target)) == 15
    assert names(target.parent) == ["out.mkv", "out.report.json"]


@pytest.mark.parametrize("by_workers", [False, True])
def test_a_second_run_at_the_same_time_is_refused(video, target, run, by_workers):
    with SegmentFolder(folder_of(target), {}).held(shared=by_workers):
        result = resumed(run, video, target)
    assert result.code == 2
    assert "another run works on this output" in result.err.splitlines()[-1]


def test_what_a_killed_run_left_beside_the_output_is_deleted(video, target, run):
    target.parent.mkdir()
    gone, other = 2**22 + 1, target.parent / ".out.mkv.notes"
    for name in (f".out.mkv.{gone}.0.part.mkv", f".out.report.json.{gone}.1.part"):
        (target.parent / name).write_bytes(b"x")
    other.write_bytes(b"x")
    assert resumed(run, video, target).code == 0
    assert names(target.parent) == [other.name, "out.mkv", "out.report.json"]


def test_skip_existing_leaves_out_what_is_finished_and_nothing_else(video, tmp_path, run):
    out = tmp_path / "out"
    for name in ("done", "half"):
        shutil.copy(video, tmp_path / f"{name}.mkv")
        folder_of(out / f"{name}.mkv").mkdir(parents=True)
        (out / f"{name}.mkv").write_bytes(name.encode())
        Finishing(folder_of(out / f"{name}.mkv")).note(out / f"{name}.mkv")
    Finishing(folder_of(out / "done.mkv")).complete()  # only its folder is left to be deleted
    videos = [tmp_path / f"{name}.mkv" for name in ("done", "half")]
    result = run("-i", *videos, "-o", f"{out}/", *FAST, "--resume", "--skip_existing")
    assert result.code == 0 and "1 of 1 videos done, 1 skipped" in result.out, result.err
    assert (out / "done.mkv").read_bytes() == b"done" and len(frames(out / "half.mkv")) == 15
    assert names(out) == ["done.mkv", "half.mkv", "half.report.json"]
