"""A picture in, a picture out; with speech it is a video of the speech's length."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.pipeline.output import check_output
from latentsync.settings.schema import Config
from tests.support.media_factory import Tone, make_audio, make_video
from tests.support.pictures import ICC, exif_of

ALWAYS = ("--superres", "Detail", "restore.when=always", "--quiet")
SOFT = ("--generator", "tests.support.soft_mouths:load", "data.resolution=256")


@pytest.fixture
def picture(tmp_path, demo_frames) -> Path:
    path = tmp_path / "face.jpg"
    turned = np.ascontiguousarray(np.rot90(demo_frames[0]))
    Image.fromarray(turned).save(path, quality=95, exif=exif_of(6), icc_profile=ICC)
    return path


def test_only_the_mouths_of_a_picture_change_and_all_of_them(tmp_path, demo_frames, run):
    both = np.ascontiguousarray(np.concatenate([demo_frames[0], demo_frames[0][:, ::-1]], axis=1))
    Image.fromarray(both).save(tmp_path / "two.png")
    result = run("--input", tmp_path / "two.png", "--output", tmp_path / "out.png", *ALWAYS)
    assert result.code == 0, result.err
    assert result.out.endswith("out.png: 2 of 2 faces restored\n")
    changed = (np.asarray(Image.open(tmp_path / "out.png")) != both).any(axis=2)
    height, width = changed.shape
    for half in (changed[:, : width // 2], changed[:, width // 2 :]):
        rows = np.flatnonzero(half.any(axis=1))
        assert half.mean() > 0.01 and rows[0] > height / 2
    report = json.loads((tmp_path / "out.png.report.json").read_text())
    assert report["input"]["kind"] == report["output"]["kind"] == "picture"


def test_one_that_is_named_is_the_only_one(tmp_path, demo_frames, run):
    both = np.ascontiguousarray(np.concatenate([demo_frames[0], demo_frames[0][:, ::-1]], axis=1))
    Image.fromarray(both).save(tmp_path / "two.png")
    files = ("--input", tmp_path / "two.png", "--output", tmp_path / "out.png")
    result = run(*files, *ALWAYS, "--speaker", "right")
    assert result.code == 0, result.err
    changed = (np.asarray(Image.open(tmp_path / "out.png")) != both).any(axis=2)
    assert changed.any() and not changed[:, : both.shape[1] // 2].any()


def test_one_without_a_soft_mouth_is_copied_and_a_dry_run_writes_nothing(picture, tmp_path, run):
    files = ("--input", picture, "--output", tmp_path / "out.jpg", "--quiet")
    dry = run(*files, "--dry-run")
    assert dry.code == 0, dry.err
    assert dry.out.startswith("picture  360x340, jpeg, 8 bits\n")
    assert not (tmp_path / "out.jpg").exists()
    result = run(*files, "restore.min_scale=10")
    assert result.out.endswith("0 of 1 faces restored, the picture copied unchanged\n")
    assert (tmp_path / "out.jpg").read_bytes() == picture.read_bytes()


@pytest.mark.parametrize(("fps", "count"), [("source", 15), ("10", 6)])
def test_with_speech_it_is_a_video_of_the_speech_s_length(fps, count, picture, tmp_path, run):
    speech = make_audio(tmp_path / "speech.wav", Tone(0.6, codec="pcm_s16le", rate=16000))
    files = ("--input", picture, "--audio_path", speech, "--output", tmp_path / "out.mp4")
    silence = ("generate.silence=model", "restore.when=never", "output.preset=ultrafast")
    result = run(*files, *SOFT, *silence, f"output.fps={fps}", "--quiet")
    assert result.code == 0, result.err
    info = probe(tmp_path / "out.mp4")
    assert info.frame_count == count and len(info.audio) == 1
    assert info.duration_seconds == pytest.approx(0.6, abs=0.03)
    still = np.rot90(np.asarray(Image.open(picture)), -1)
    first = next(iter(VideoReader(info))).pixels
    assert np.abs(first[:150].astype(int) - still[:150]).mean() < 2


def test_what_a_video_of_a_picture_does_not_keep_is_named(tmp_path):
    values = np.full((32, 48, 4), 900, np.uint16)
    cv2.imwrite(str(tmp_path / "face.png"), values)
    speech = make_audio(tmp_path / "speech.wav", Tone(0.6, codec="pcm_s16le", rate=16000))
    output = check_output(Config(), probe(tmp_path / "face.png"), tmp_path / "out.mp4", speech)
    assert [note.partition("face.png")[2] for note in output.plan.notes] == [
        " has 16 bits per channel: 8 are kept",
        ": its alpha channel (transparency) is not kept",
    ]


def test_replay_wants_a_video_to_take_mouths_from(picture, tmp_path, run):
    speech = make_audio(tmp_path / "speech.wav", Tone(0.6, codec="pcm_s16le", rate=16000))
    files = ("--input", picture, "--audio_path", speech, "--output", tmp_path / "out.mp4")
    result = run(*files, "--generator", "replay")
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("error: generate.replay.source: not given; a picture has one mouth only")


def test_pictures_and_videos_of_a_folder_are_done_and_what_fails_gets_a_line(
    picture, tmp_path, demo_frames, run
):
    folder = tmp_path / "in"
    folder.mkdir()
    picture.rename(folder / "a.jpg")
    make_video(folder / "a.mp4", demo_frames[:3])
    (folder / "b.png").write_bytes((folder / "a.jpg").read_bytes()[:999])
    result = run("--input", folder, "--output", f"{tmp_path}/o", *ALWAYS)
    assert result.code == 2
    assert "several videos need a folder" in result.err
    result = run(
        "--input", folder, "--output", f"{tmp_path}/o/", *ALWAYS, "output.preset=ultrafast"
    )
    assert (result.code, result.out.splitlines()[-1]) == (2, "2 of 3 videos and pictures done")
    assert result.err.startswith("error: 3/3 b.png: the picture is damaged or incomplete")
    names = {"a.jpg", "a.jpg.report.json", "a.mp4", "a.report.json"}
    assert {path.name for path in (tmp_path / "o").iterdir()} == names


REFUSED = {
    "a picture as a video": ("face.jpg", "out.mp4", "a picture is written as a picture"),
    "a video as a picture": ("v.mp4", "out.png", "a video is not written as a picture"),
    "an output that is there": ("face.jpg", "there.png", "--overwrite"),
    "the input": ("face.jpg", "face.jpg", "the output is the input"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_written_is_said_before_any_work(kind, picture, tmp_path, demo_frames, run):
    given, output, said = REFUSED[kind]
    make_video(tmp_path / "v.mp4", demo_frames[:2])
    (tmp_path / "there.png").write_bytes(b"dear to me")
    result = run("--input", tmp_path / given, "--output", tmp_path / output)
    (line,) = result.err.splitlines()
    assert (result.code, result.out) == (2, "") and said in line
    assert (tmp_path / "there.png").read_bytes() == b"dear to me"
