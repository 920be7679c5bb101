"""New speech in segments, with recorded mouths: as in one go, with the speech once."""

from __future__ import annotations

import functools
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.commands import work
from latentsync.media.audio.reader import read_audio
from latentsync.media.reader import VideoReader
from latentsync.pipeline.segments import render
from latentsync.pipeline.segments.folder import folder_of
from tests.support.media_factory import pts_of
from tests.support.sounds import RATE, write_audio

ASSETS = Path(__file__).parents[2] / "assets"
SPEAKER, NEW_WORDS = ASSETS / "demo_talking.mp4", ASSETS / "demo_speech.wav"
SECONDS = 1.6
FAST = ("output.codec=ffv1", "face.occlusion=off")


def test_segments_of_new_speech_are_the_whole_and_the_speech_is_there_once(
    tmp_path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = write_audio(tmp_path / "speech.wav", read_audio(NEW_WORDS)[: round(SECONDS * RATE)])
    make, made = render.InSegments.make, []

    def once(self, session, output, plan, number, *more):
        made.append(number)
        if made == [0, 1]:
            raise KeyboardInterrupt
        make(self, session, output, plan, number, *more)

    short = functools.partial(render.render_resumable, seconds=0.5)
    monkeypatch.setattr(work, "render_resumable", short)
    monkeypatch.setattr(render.InSegments, "make", once)
    words = ("-i", SPEAKER, "--audio", speech, "--generator", "replay", *FAST)
    target, whole = tmp_path / "out.mkv", tmp_path / "whole.mkv"
    assert run(*words, "-o", target, "--resume").code == 130
    result = run(*words, "-o", target, "--resume")
    assert result.code == 0, result.err
    assert made[:2] == [0, 1] and made[2:] == list(range(1, len(made) - 1)), "0 was there"
    assert not folder_of(target).exists()
    assert run(*words, "-o", whole).code == 0
    pairs = zip(VideoReader(target), VideoReader(whole), strict=True)
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in pairs)
    assert pts_of(target) == pts_of(whole)
    with av.open(str(target)) as container:
        assert len(container.streams.audio) == 1
    heard, expected = read_audio(target), read_audio(whole)
    assert np.array_equal(heard, expected)
    assert abs(len(heard) / 16000 - len(pts_of(target)) / 25) < 0.05
