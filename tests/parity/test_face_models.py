"""Finders, face mesh and hands give what mediapipe 0.10.14 gives on the same frames.

Golden keys begin with the name of a clip: demo_* lies in assets, others in ../clips of the golden
folder, and `drawn` is a made-up hand. The arrays were stored by mediapipe's own graphs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.face.landmarks import from_mesh
from latentsync.face.models import hands, mesh
from latentsync.face.models.finder import FAR_FACES, NEAR_FACES, PALMS, Find, Finder
from latentsync.face.models.following import Follower
from latentsync.face.models.mesh import FaceMesh
from latentsync.face.models.regions import Region, around
from latentsync.weights import manifest
from latentsync.weights.find import find
from tests.support.drawn_hand import drawn_hand

KIND = "face_models"
ASSETS = Path(__file__).parents[2] / "assets"
NEAR_FLOOR, FAR_FLOOR = 0.5, 0.6  # of mediapipe's graphs
BOX, MESH, HAND = 0.01, 0.05, 0.1  # pixels, and for boxes also scores and radians
FOLLOWED, FOLLOWED_MEDIAN = 0.5, 0.1  # pixels: following amplifies rounding


def clip(golden_file: Path, name: str) -> Iterator[np.ndarray]:
    folder = ASSETS if name.startswith("demo_") else golden_file.parent.parent / "clips"
    found = [*folder.glob(f"{name}.mp4"), *folder.glob(f"{name}_*.mp4")]
    if not found:
        pytest.skip(f"the video of this golden file is not there: {folder}/{name}*.mp4")
    return decoded(found[0])


def decoded(path: Path) -> Iterator[np.ndarray]:
    """As the golden frames were: by FFmpeg's own conversion, not the project's."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def frames(golden_file: Path, golden: np.lib.npyio.NpzFile) -> Iterator[tuple[str, np.ndarray]]:
    """Key prefix and pixels of each frame that the file has results of."""
    names = {m for key in golden if (m := re.fullmatch(r"(.+)_f(\d+)_mesh", key))}
    for match in names:
        name, index = match.groups()
        pixels = next(itertools.islice(clip(golden_file, name), int(index), None))
        yield f"{name}_f{index}_", pixels


def row(find: Find) -> np.ndarray:
    return np.concatenate([[find.score], find.place.box, find.points.ravel()])


def values(region: Region) -> list[float]:
    return [region.x, region.y, region.width, region.height, region.angle]


def region_of(find: Find) -> Region:
    return mesh.region_of_face(find.place.box, find.points)


@pytest.fixture(scope="module")
def near() -> Finder:
    return Finder(find(manifest.FACE_FINDER), NEAR_FACES)


@pytest.fixture(scope="module")
def landmarker() -> FaceMesh:
    return FaceMesh(find(manifest.FACE_MESH))


def test_faces_are_found_where_mediapipe_finds_them(golden_file: Path, near: Finder) -> None:
    far = Finder(find(manifest.SMALL_FACE_FINDER), FAR_FACES)
    with np.load(golden_file) as golden:
        for key, pixels in frames(golden_file, golden):
            near_found = [row(one) for one in near(pixels, around(pixels), NEAR_FLOOR)]
            far_found = [row(one) for one in far(pixels, around(pixels), FAR_FLOOR)]
            np.testing.assert_allclose(near_found, golden[f"{key}short_detections"], atol=BOX)
            np.testing.assert_allclose(far_found, golden[f"{key}full_detections"], atol=BOX)


def test_regions_and_mesh_are_mediapipe_s(
    golden_file: Path, near: Finder, landmarker: FaceMesh
) -> None:
    with np.load(golden_file) as golden:
        for key, pixels in frames(golden_file, golden):
            region = region_of(near(pixels, around(pixels), NEAR_FLOOR)[0])
            stored = golden[f"{key}roi_from_detection"][0]
            np.testing.assert_allclose(values(region), stored, rtol=0, atol=BOX)
            look = landmarker(pixels, region)
            points = golden[f"{key}mesh"].astype(np.float64)
            np.testing.assert_allclose(look.points, points, rtol=0, atol=MESH)
            following = values(mesh.region_of_mesh(points))
            stored = golden[f"{key}roi_from_mesh"][0]
            np.testing.assert_allclose(following, stored, rtol=0, atol=BOX)


def test_a_followed_face_stays_at_mediapipe_s_points_and_is_searched_for_as_often(
    golden_file: Path, near: Finder, landmarker: FaceMesh
) -> None:
    with np.load(golden_file) as golden:
        names = [key.removesuffix("_tracked_11") for key in golden if key.endswith("_tracked_11")]
        for name in names:
            stored = golden[f"{name}_tracked_11"]
            followed, searched = follow(
                itertools.islice(clip(golden_file, name), len(stored)), near, landmarker
            )
            error = np.abs(followed - stored).max(axis=-1)
            assert error.max() < FOLLOWED and np.median(error) < FOLLOWED_MEDIAN
            assert searched == golden[f"{name}_tracked_detections_run"].tolist()


def follow(
    pictures: Iterator[np.ndarray], near: Finder, landmarker: FaceMesh
) -> tuple[np.ndarray, list[int]]:
    """The named landmarks of each frame, and whether the finder ran."""
    searched: list[int] = []

    def search(pixels: np.ndarray) -> list[Region]:
        searched[-1] = 1
        return [region_of(one) for one in near(pixels, around(pixels), NEAR_FLOOR)]

    follower, points = Follower(search, landmarker, at_most=1, presence=0.5), []
    for pixels in pictures:
        searched.append(0)
        (look,) = follower(pixels)
        points.append(from_mesh(look.points))
    return np.stack(points), searched


def test_hands_are_mediapipe_s(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        if "drawn_hands0_points" not in golden:
            pytest.skip("this golden file holds no drawn hand")
        pixels, stored = drawn_hand(), {key: golden[key] for key in golden if "hands0" in key}
    finder = Finder(find(manifest.PALM_FINDER), PALMS)
    (palm,) = finder(pixels, around(pixels), hands.PALM_FLOOR)
    np.testing.assert_allclose(row(palm), stored["drawn_hands0_palms"][0], rtol=0, atol=HAND)
    region = values(hands.region_of_palm(palm))
    np.testing.assert_allclose(region, stored["drawn_hands0_roi_from_palm"][0], rtol=0, atol=HAND)
    (hand,) = hands.Hands()(pixels)
    np.testing.assert_allclose(hand.points, stored["drawn_hands0_points"][0], rtol=0, atol=HAND)
    region = values(hands.region_of_hand(hand.points))
    np.testing.assert_allclose(region, stored["drawn_hands0_roi_from_points"][0], rtol=0, atol=HAND)
