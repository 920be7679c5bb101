"""Several speakers in one video: each speech moves its own mouth, and no other."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from latentsync import Engine, Session, load_config
from latentsync.media.audio.reader import SAMPLE_RATE, read_audio
from latentsync.media.reader import VideoReader
from latentsync.pipeline.planning.plan_file import load_plan, save_plan
from tests.support.media_factory import Tone, make_audio, make_video

ASSETS = Path(__file__).parents[2] / "assets"
SOFT = "generate.name=tests.support.soft_mouths:load"
FRAMES, WIDTH = 20, 360
# Hands are looked for in every frame, which takes a third of the first pass.
PLAIN = (
    *("data.resolution=256", "restore.name=none", "generate.silence=model"),
    *("face.occlusion=off", SOFT),
)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Two people side by side, the right one the mirror image of the left one, 0.8 s."""
    reader = VideoReader(ASSETS / "demo_talking.mp4", start=20, stop=20 + FRAMES)
    faces = [np.ascontiguousarray(frame.pixels[90:430, 140:500]) for frame in reader]
    both = [np.concatenate([face, face[:, ::-1]], axis=1) for face in faces]
    folder = tmp_path_factory.mktemp("speakers")
    return make_video(folder / "video.mp4", both, options={"crf": "8"}, audio=[Tone(FRAMES / 25)])


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    return make_audio(folder / "speech.wav", Tone(1.0, codec="pcm_s16le", rate=SAMPLE_RATE))


def entries(speech: Path, left: tuple[float, float], right: tuple[float, float]) -> list[dict]:
    return [
        {"speaker": who, "audio": str(speech), "start": start, "end": end}
        for who, (start, end) in (("left", left), ("right", right))
    ]


def engine(speakers: list[dict], *settings: str) -> Engine:
    return Engine(load_config(None, [*PLAIN, *settings], flags={"speakers": speakers}))


def rendered(session: Session, *borders: int) -> list[np.ndarray]:
    """The frames, at once or in parts that begin at those frames."""
    return [
        frame.pixels
        for start, stop in itertools.pairwise([0, *borders, FRAMES])
        for frame in session.frames(start, stop)
    ]


def changed(frames: Sequence[np.ndarray], video: Path) -> np.ndarray:
    """(F, 2) bool: whether the left and the right half differ from the video."""
    pairs = zip(frames, VideoReader(video), strict=True)
    differs = [(after != before.pixels).any(axis=(0, 2)) for after, before in pairs]
    return np.array([[one[:WIDTH].any(), one[WIDTH:].any()] for one in differs])


def spoken(start: float, stop: float) -> np.ndarray:
    seconds = np.arange(FRAMES) / 25
    return (seconds >= start) & (seconds < stop)


@pytest.mark.parametrize(
    ("left", "right"),
    [((0.0, 0.4), (0.4, 0.8)), ((0.12, 0.6), (0.32, 0.8))],
    ids=["in turn", "both at once"],
)
def test_each_speech_moves_its_own_mouth_and_no_other(left, right, video, speech):
    with Session(engine(entries(speech, left, right)), video) as session:
        moved = changed(rendered(session), video)
    np.testing.assert_array_equal(moved, np.stack([spoken(*left), spoken(*right)], axis=1))


def test_parts_are_as_in_the_whole_and_a_saved_plan_renders_the_same(video, speech, tmp_path):
    speakers = entries(speech, (0.04, 0.64), (0.24, 0.8))
    made = engine(speakers, "restore.name=Detail", "restore.when=always")
    with Session(made, video) as session:
        whole, parts = rendered(session), rendered(session, 4, 11)
        save_plan(session.plan, tmp_path / "plan")
    assert changed(whole, video).any(axis=0).all()
    with Session(made, video, plan=load_plan(tmp_path / "plan")) as session:
        again = rendered(session)
    for frames in (parts, again):
        assert all(map(np.array_equal, whole, frames))


def test_one_person_named_twice_is_one_speaker(video, speech):
    speakers = entries(speech, (0.0, 0.32), (0.4, 0.8))
    speakers[1]["speaker"] = "60,100"  # on the left as well
    with Session(engine(speakers), video) as session:
        moved = changed(rendered(session), video)
        assert len(session.lanes) == 1
    np.testing.assert_array_equal(moved[:, 0], spoken(0.0, 0.32) | spoken(0.4, 0.8))
    assert not moved[:, 1].any()


def test_the_command_reads_segments_and_reports_each_speaker(video, speech, tmp_path, run):
    listed, target = tmp_path / "segments.yaml", tmp_path / "out.mp4"
    (tmp_path / "anna.wav").write_bytes(speech.read_bytes())
    speakers = entries(Path("anna.wav"), (0.0, 0.4), (0.4, 0.8))
    listed.write_text(yaml.safe_dump({"speakers": speakers}), "utf-8")
    files = ("--input", video, "--output", target, "--segments", listed)
    result = run(*files, *PLAIN, "output.preset=ultrafast")
    assert result.code == 0, result.err
    report = json.loads(target.with_suffix(".report.json").read_text())
    (other,) = report["other_speakers"]
    assert [one["speaker"]["chosen_by"] for one in (report, other)] == [["left"], ["right"]]
    assert {one["speaker"]["person"] for one in (report, other)} == {1, 2}
    assert [one["frames"]["generated"] for one in (report, other)] == [10, 10]
    assert other["speaker"]["speech_seconds"] == [[0.4, 0.8]]
    assert len(read_audio(target)) / SAMPLE_RATE == pytest.approx(0.8, abs=0.05)


def test_a_person_who_is_not_there_is_refused_before_anything_is_written(
    video, speech, tmp_path, run
):
    target = tmp_path / "out.mp4"
    result = run(
        *("--input", video, "--output", target, "--audio_path", speech, "--speaker", "3"), *PLAIN
    )
    assert result.code == 2
    assert "face.speaker" in result.err and "there are 2 people" in result.err
    assert not list(tmp_path.iterdir())


def test_the_people_are_listed_with_a_contact_sheet(video, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("--input", video, "--list_speakers", "--offline")
    assert result.code == 0, result.err
    sheet = tmp_path / "video_speakers.png"
    assert sheet.stat().st_size and [*tmp_path.iterdir()] == [sheet]
    numbered = [line.split()[0] for line in result.out.splitlines()]
    assert numbered[0] == "person" and {"1", "2"} <= set(numbered)
    assert "0.8 s" in result.out, "both are on screen throughout"
