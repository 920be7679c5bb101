"""Tracks and crops of faces are those of LatentSync's evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latentsync.evaluate.sync.tracks import FaceTrack, face_tracks
from latentsync.face.active_speaker import face_crop, smooth_squares

KIND = "syncnet_track"
EXACT = 1e-9  # float64 throughout


@pytest.fixture
def golden(golden_file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(golden_file) as file:
        yield file


@pytest.fixture
def tracks(golden: np.lib.npyio.NpzFile) -> list[FaceTrack]:
    faces: list[list[np.ndarray]] = [[] for _ in golden["frames_blocks16"]]
    for frame, *box, _score in golden["detections"]:
        faces[int(frame)].append(np.array(box))
    return face_tracks(faces)


def test_tracks_and_their_audio_are_the_original_s(
    golden: np.lib.npyio.NpzFile, tracks: list[FaceTrack]
) -> None:
    assert len(tracks) == golden["num_tracks"] > 0
    for k, track in enumerate(tracks):
        np.testing.assert_array_equal(
            np.arange(track.start, track.stop), golden[f"track{k}_frames"]
        )
        np.testing.assert_allclose(track.boxes, golden[f"track{k}_boxes"], rtol=0, atol=EXACT)
        np.testing.assert_allclose(track.audio_span, golden[f"track{k}_audio_span"], atol=5e-4)


def test_crops_are_the_original_s(golden: np.lib.npyio.NpzFile, tracks: list[FaceTrack]) -> None:
    frames = golden["frames_blocks16"]
    for k, track in enumerate(tracks):
        squares = smooth_squares(track.boxes, beyond="constant")
        np.testing.assert_allclose(squares, golden[f"track{k}_smoothed_xys"], rtol=0, atol=EXACT)
        wanted = golden[f"track{k}_crops_every10_px4"]
        for place, crop in zip(range(0, len(squares), 10), wanted, strict=True):
            frame = frames[track.start + place].repeat(16, axis=0).repeat(16, axis=1)
            computed = face_crop(frame, squares[place])[::4, ::4]
            assert np.abs(computed.astype(int) - crop).max() <= 1
