"""Shots of one person get one identity, those of two people never do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from latentsync.errors import MediaError
from latentsync.generate.base import Footage
from latentsync.generate.replay.identity import link_identities
from latentsync.generate.replay.inputs import find_faces, kept_faces
from latentsync.media.probe import probe
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import VideoFile, footage_of
from latentsync.settings.load import load_config

VIDEO = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"


@pytest.fixture(scope="module")
def footage() -> Footage:
    with Session(Engine(load_config()), VIDEO) as session:
        return footage_of(VideoFile(probe(VIDEO)), session.analyze())


def in_two_shots(footage: Footage, change: object = None) -> tuple[Footage, np.ndarray]:
    """From frame 60 on another shot, whose crops are changed."""
    frames = np.arange(len(footage.seconds))

    def crops(numbers: np.ndarray, size: int) -> Iterator[torch.Tensor]:
        for number, crop in zip(numbers, footage.crops(numbers, size), strict=True):
            yield change(crop) if callable(change) and number >= 60 else crop

    shots = (frames >= 60).astype(int)
    other = Footage(
        footage.name, footage.alignments, footage.seconds, footage.cuts, footage.audio, crops
    )
    return other, shots


def older(crop: torch.Tensor) -> torch.Tensor:
    """Another head under the same light: longer nose, other brows, darker hair."""
    pixels = crop.permute(1, 2, 0).numpy()
    size = len(pixels)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    wave = size / 14
    y += wave * np.sin(x / size * 9) * np.cos(y / size * 7)
    x += wave * np.sin(y / size * 11)
    return torch.from_numpy(cv2.remap(pixels, x, y, cv2.INTER_LINEAR)).permute(2, 0, 1)


def test_a_cut_to_the_same_person_keeps_the_identity(footage: Footage) -> None:
    video, shots = in_two_shots(footage)
    assert set(link_identities(video, np.arange(len(shots)), shots)) == {0}


@pytest.mark.parametrize("change", [lambda crop: crop * 0.3 - 0.5, older], ids=["dark", "older"])
def test_a_different_looking_face_is_another_identity(footage: Footage, change: object) -> None:
    video, shots = in_two_shots(footage, change)
    np.testing.assert_array_equal(link_identities(video, np.arange(len(shots)), shots), shots)


def test_an_identity_with_too_little_speech_is_refused(footage: Footage) -> None:
    faces, audio = find_faces(footage), footage.audio()
    assert audio is not None
    alone = np.zeros(len(faces.frames), int)
    assert len(kept_faces(footage, faces, alone, audio, speaking=np.array([0]))) == 127
    identities = (faces.frames >= 110).astype(int)
    with pytest.raises(MediaError, match=r"the face at 4\.4 s \(0\.\d s found, 3 s needed\)"):
        kept_faces(footage, faces, identities, audio, speaking=np.array([0, 1]))
    kept = kept_faces(footage, faces, identities, audio, speaking=np.array([0]))
    np.testing.assert_array_equal(kept, np.arange(110))
