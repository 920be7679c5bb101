"""One person stays one under other light, at other sizes and turned; two people are two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from latentsync.face.detector import load_detector
from latentsync.face.identity import (
    Appearance,
    SFace,
    likeness,
    load_embedding,
    mean_face,
    numbered,
)
from latentsync.face.portraits import portrait
from latentsync.weights.manifest import SFACE
from tests.support.people import heads, put, room
from tests.support.tiny_onnx import channel_means


@pytest.fixture(scope="module")
def portraits() -> dict[int, np.ndarray]:
    """Person -> (4, 112, 112, 3)."""
    made = {}
    for person in (2, 3, 4, 10):
        detector, images = load_detector("mediapipe"), []
        for head in heads(40, person)[::10]:
            frame = room(520, 520)
            put(frame, head, 260, 260, 420)
            images.append(portrait(frame, detector(frame)[0]))
        made[person] = np.stack(images)
    return made


def compared(one: np.ndarray, other: np.ndarray) -> float:
    found = likeness(Appearance()(one), Appearance()(other))
    assert found is not None
    return found


def of_levels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda images: np.clip(change(images.astype(np.float64)), 0, 255).astype(np.uint8)


def smaller(images: np.ndarray) -> np.ndarray:
    small = [cv2.resize(one, (40, 40), interpolation=cv2.INTER_AREA) for one in images]
    return np.stack([cv2.resize(one, (112, 112)) for one in small])


LIGHT = {
    "the same": lambda images: images,
    "dark": of_levels(lambda levels: levels * 0.4),
    "bright": of_levels(lambda levels: levels * 1.4),
    "warm": of_levels(lambda levels: levels * (1.2, 1.0, 0.75)),
    "contrast": of_levels(lambda levels: 255 * (levels / 255) ** 1.8),
    "from the side": of_levels(lambda levels: levels * np.linspace(1.4, 0.6, 112)[:, None]),
    "from afar": smaller,
}


@pytest.mark.parametrize("light", LIGHT)
def test_one_person_stays_one_in_other_light(light, portraits) -> None:
    for images in portraits.values():
        assert compared(images[:2], LIGHT[light](images[2:])) >= Appearance.same


@pytest.mark.parametrize("light", LIGHT)
def test_two_people_are_two_in_any_light(light, portraits) -> None:
    for one in portraits:
        for other in portraits:
            if one != other:
                assert compared(portraits[one], LIGHT[light](portraits[other])) < Appearance.same


def test_an_open_or_hidden_mouth_changes_nothing(portraits) -> None:
    hidden = portraits[2].copy()
    hidden[:, 88:] = 30
    assert compared(portraits[2], hidden) > 0.9


def test_vectors_have_unit_length(portraits) -> None:
    vectors = Appearance()(portraits[2])
    assert vectors.shape == (4, len(mean_face())) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_what_both_sets_show_decides_not_what_only_one_does() -> None:
    """Three of four portraits show a head from a side that the other set never shows."""
    basis = np.eye(6, dtype=np.float32)
    assert likeness(basis[:4], basis[[0, 1, 4, 5]]) == 1
    assert likeness(basis[:2], basis[4:]) == 0
    assert likeness(basis[:1], basis[:4]) == 1
    assert likeness(basis[:0], basis) is None


def test_sets_of_one_person_get_one_number(portraits) -> None:
    sets = [
        Appearance()(portraits[person][half])
        for half in (slice(2), slice(2, 4))
        for person in (4, 2, 10)
    ]
    assert numbered(sets, Appearance()).tolist() == [0, 1, 2, 0, 1, 2]
    assert numbered([], Appearance()).tolist() == []


def test_without_weights_the_appearance_is_used(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_embedding().name == "edges of the upper face"


def test_weights_at_hand_are_used(tmp_path: Path) -> None:
    channel_means(tmp_path, SFACE.filename)
    assert load_embedding([tmp_path]).name == "SFace"


def test_the_network_is_given_what_opencv_gives_it(tmp_path: Path) -> None:
    """cv2.FaceRecognizerSF takes BGR and turns it round: the network sees RGB, 0 to 255."""
    path = channel_means(tmp_path)
    rgb = np.full((1, 112, 112, 3), (200, 100, 50), np.uint8)
    rgb[:, :40] = 10
    (ours,) = SFace(path)(rgb)
    bgr = np.ascontiguousarray(rgb[0, :, :, ::-1])
    (theirs,) = cv2.FaceRecognizerSF.create(str(path), "").feature(bgr)
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs), rtol=1e-4)


def test_several_portraits_run_one_after_the_other(tmp_path: Path) -> None:
    network = SFace(channel_means(tmp_path))
    images = np.random.default_rng(0).integers(0, 255, (3, 112, 112, 3)).astype(np.uint8)
    alone = np.concatenate([network(image[None]) for image in images])
    np.testing.assert_array_equal(network(images), alone)
    assert not np.array_equal(alone[0], alone[1])
