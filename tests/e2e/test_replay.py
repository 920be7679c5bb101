"""Lip-sync without weights: the real command on the demo clip's speaker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latentsync import Engine, Session, load_config
from latentsync.face.detector import load_detector
from latentsync.generate.replay.lips import lip_shape
from latentsync.media.audio.reader import read_audio
from latentsync.media.reader import VideoReader
from tests.support.copying import beginning
from tests.support.media_factory import Tone, make_audio, make_video, pts_of
from tests.support.sounds import RATE, music, noise, words, write_audio

ASSETS = Path(__file__).parents[2] / "assets"
SPEAKER, TALKING = ASSETS / "demo_speaker.mp4", ASSETS / "demo_talking.mp4"
NEW_WORDS = ASSETS / "demo_speech.wav"
REPLAY = ("generate.name=replay", "output.preset=ultrafast")
CONFIG = ASSETS.parent / "configs" / "replay.yaml"


def aperture(frames: Iterator[np.ndarray]) -> np.ndarray:
    detector = load_detector("mediapipe", max_faces=1, min_confidence=0.5)
    points = [detector(pixels)[0].landmarks for pixels in frames]
    return lip_shape(np.stack(points))[:, 0]


def test_new_words_are_spoken_with_the_speaker_s_own_mouth(tmp_path, run) -> None:
    target = tmp_path / "out.mp4"
    speaker = beginning(SPEAKER, tmp_path / "speaker.mp4", 10)
    files = ("--video_path", speaker, "--audio_path", NEW_WORDS, "--video_out_path", target)
    result = run("--config", CONFIG, *files, "output.preset=ultrafast")
    assert result.code == 0, result.err
    assert "low confidence" not in result.err
    seconds = len(read_audio(NEW_WORDS)) / 16000
    assert abs(len(pts_of(target)) / 25 - seconds) < 0.04
    report = json.loads(target.with_suffix(".report.json").read_text())
    assert report["frames"]["generated"] == report["frames"]["total"]
    generator = report["generator"]
    assert generator["lip_audio_correlation"][0] > 0.8
    assert len(generator["units"]) > generator["unit_joins"] > 0
    starts = [first for first, _, _, _ in generator["units"]]
    assert starts == sorted(starts) and generator["units"][-1][1] < seconds
    assert report["frames"]["restored"] < report["frames"]["total"] / 4, "recorded mouths are sharp"
    made = aperture(frame.pixels for frame in VideoReader(target))
    loud = np.abs(read_audio(NEW_WORDS)[: len(made) * 640]).reshape(len(made), 640).mean(axis=1)
    spoken = np.convolve(loud, np.ones(3) / 3, mode="same")
    assert np.corrcoef(made, spoken)[0, 1] > 0.6, "this mouth opens with the loudness"


def test_self_reenactment_is_in_sync_and_only_below_the_nose(talking) -> None:
    own = ("generate.replay.exclude_seconds=1", "generate.replay.silence_weight=0")
    engine = Engine(load_config(None, [*REPLAY, *own, "restore.when=never"]))
    made, changed = [], 0
    with Session(engine, TALKING, audio=TALKING, observed=talking) as session:
        plan = session.plan
        for item in session.rendered():
            alignment = plan.analysis.alignments[plan.source[item.index]]
            assert alignment is not None
            eyes = int(alignment.landmarks[3:5, 1].max()) + 8
            np.testing.assert_array_equal(item.after.pixels[:eyes], item.before.pixels[:eyes])
            changed += bool((item.after.pixels != item.before.pixels).any())
            made.append(item.after.pixels)
    assert len(made) == len(plan)
    assert changed == len(made)
    found = aperture(iter(made))
    filmed = np.stack([one.landmarks for one in plan.analysis.alignments if one])
    true = lip_shape(filmed)[: len(found), 0]
    r = np.corrcoef(true, found)[0, 1]
    shifted = [np.corrcoef(true, np.roll(found, n))[0, 1] for n in range(10, len(found) - 10)]
    assert r > 0.75
    assert r > np.percentile(shifted, 95) + 0.2
    assert 0.7 < np.abs(np.diff(found)).mean() / np.abs(np.diff(true)).mean() < 1.4


def test_the_mouth_is_shut_while_music_or_noise_takes_the_place_of_speech(
    tmp_path, talking
) -> None:
    first, gap = words()[: round(1.5 * RATE)], 1.0  # a part of speech, and the pause after it
    spoken = len(first) / RATE
    parts = [first, music(gap, 0.08), 0.05 * noise(gap)]
    new = write_audio(tmp_path / "new.wav", np.concatenate(parts))
    engine = Engine(load_config(None, ["generate.name=replay", "restore.when=never"]))
    with Session(engine, TALKING, audio=new, observed=talking) as session:
        seconds, analysis = session.plan.seconds, session.analyze()
        pixels = [frame.pixels for frame in session.frames()]
    filmed = lip_shape(np.stack([one.landmarks for one in analysis.alignments if one]))[:, 0]
    low, high = np.percentile(filmed, (5, 90))
    made = (aperture(iter(pixels)) - low) / (high - low)
    talking = (seconds > 0.3) & (seconds < 1.2)
    silent = (seconds > spoken + 0.1) & (seconds < spoken + 2 * gap - 0.1)
    assert np.mean(made[talking] > 0.5) > 0.7
    assert np.mean(made[silent] < 0.35) > 0.85, "the face mesh is unsure of a few"
    assert np.median(made[silent]) < 0.25


def test_audio_without_speech_is_distinguished_from_no_audio(tmp_path, demo_frames, run) -> None:
    video = make_video(tmp_path / "hum.mp4", demo_frames, audio=[Tone(0.5)])
    files = ("-i", video, "--audio_path", NEW_WORDS, "-o", tmp_path / "out.mp4")
    refused = run(*files, "--generator", "replay")
    assert refused.code == 2
    assert "too little speech" in refused.err and "hum.mp4 (" in refused.err


def test_mouths_may_come_from_another_video_of_the_person(tmp_path, demo_frames, run) -> None:
    mute = make_video(tmp_path / "mute.mp4", demo_frames)
    target = tmp_path / "out.mp4"
    speech = make_audio(tmp_path / "s.wav", Tone(0.4, codec="pcm_s16le", rate=48000))
    files = ("-i", mute, "--audio_path", speech, "-o", target)
    refused = run(*files, *REPLAY)
    assert refused.code == 2
    said = refused.err.strip().splitlines()[-1]
    assert "the video has no audio" in said and "mute.mp4" in said and "CLIP" in said
    assert "0.0 s" not in said
    assert not target.exists()
    result = run(*files, *REPLAY, f"generate.replay.source={TALKING}")
    assert result.code == 0, result.err
    assert "low confidence: 3.9 s of speech" in result.err
    assert len(pts_of(target)) == 10


@pytest.mark.parametrize(
    ("source", "said"),
    [("nowhere.mp4", "nowhere.mp4"), (str(NEW_WORDS), "demo_speech.wav")],
    ids=["not there", "no video"],
)
def test_a_source_that_is_not_a_video_is_refused(source, said, tmp_path, demo_frames, run) -> None:
    video = make_video(tmp_path / "video.mp4", demo_frames)
    target = tmp_path / "out.mp4"
    files = ("-i", video, "--audio_path", NEW_WORDS, "-o", target)
    result = run(*files, *REPLAY, f"generate.replay.source={source}")
    assert result.code == 2
    assert said in result.err.strip().splitlines()[-1]
    assert not target.exists()
