"""A person of whom the video holds too little speech has no unit database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.generate.base import Footage
from latentsync.generate.replay.inputs import find_faces, kept_faces
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import VideoFile, footage_of
from latentsync.settings.load import load_config

VIDEO = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"


@pytest.fixture(scope="module")
def footage(talking: VideoAnalysis) -> Footage:
    with Session(Engine(load_config()), VIDEO, observed=talking) as session:
        return footage_of(VideoFile(probe(VIDEO)), session.analyze())


def test_an_identity_with_too_little_speech_is_refused(footage: Footage) -> None:
    faces, audio = find_faces(footage), footage.audio()
    assert audio is not None
    alone = np.zeros(len(faces.frames), int)
    kept = kept_faces(footage, faces, alone, audio, speaking=np.array([0]))
    assert len(kept) == len(faces.frames) == 127
    identities = (faces.frames >= 110).astype(int)
    with pytest.raises(MediaError, match=r"the face at 4\.4 s \(0\.\d s found, 3 s needed\)"):
        kept_faces(footage, faces, identities, audio, speaking=np.array([0, 1]))
    kept = kept_faces(footage, faces, identities, audio, speaking=np.array([0]))
    assert set(identities[kept]) == {0} and len(kept) == 110


def test_a_covered_mouth_is_not_selected(footage: Footage) -> None:
    faces, audio = find_faces(footage), footage.audio()
    assert audio is not None
    alone = np.zeros(len(faces.frames), int)
    covered = np.isin(np.arange(len(footage.seconds)), range(40, 50))
    hidden = replace(footage, occluded=covered)
    kept = kept_faces(hidden, faces, alone, audio, speaking=np.array([0]))
    np.testing.assert_array_equal(faces.frames[kept], np.flatnonzero(~covered))
    with pytest.raises(MediaError, match=r"the face at 0\.0 s \(0\.0 s found"):
        all_hidden = replace(footage, occluded=np.ones(len(covered), bool))
        kept_faces(all_hidden, faces, alone, audio, speaking=np.array([0]))
