"""The search for faces recovers from a false find, and gives each face once, best first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from latentsync.face.detector import FaceBox
from latentsync.face.finding import TRIED_EVERY, FarFaces, FirstFinds
from latentsync.face.models.finder import Find
from latentsync.face.models.following import Look
from latentsync.face.models.regions import Region

FRAME = np.zeros((90, 160, 3), np.uint8)


class Shown:
    """A search that finds, for each quarter, one face of the given score, or none."""

    def __init__(self, scores: Mapping[int, float]) -> None:
        self.scores = scores

    def __call__(self, frame: np.ndarray, quarter: int) -> list[FaceBox]:
        score = self.scores.get(quarter)
        return [] if score is None else [FaceBox(np.array([40.0, 20, 80, 60]), score)]


def settled(frame: np.ndarray, place: Region) -> Look:
    return Look(np.zeros((4, 2)), 0.95, place)


def test_after_a_false_sideways_find_an_upright_face_is_found_in_the_next_frame() -> None:
    for frames_before in (0, 50):  # turned faces are searched for in the first frames, and in 50
        search = Shown({})
        finds = FirstFinds([search], settled)
        for _ in range(frames_before):
            assert finds(FRAME) == []
        search.scores = {1: 0.7}
        assert len(finds(FRAME)) == 1
        search.scores = {0: 0.6}
        assert [score for _, score in finds(FRAME)] == [0.6]


def test_a_false_sideways_find_that_leaves_nothing_behind_is_forgotten() -> None:
    search = Shown({1: 0.7})
    finds = FirstFinds([search], settled)
    finds(FRAME)
    search.scores = {}
    for _ in range(6):
        assert finds(FRAME) == []
    search.scores = {0: 0.6}
    assert len(finds(FRAME)) == 1


def test_beside_a_followed_sideways_face_only_a_surely_upright_one_is_found_now_and_then() -> None:
    for score, found in ((0.95, 1), (0.7, 0)):  # of which a real one is taken for upright, too
        search = Shown({1: 0.7})
        finds = FirstFinds([search], settled)
        finds(FRAME)
        finds.followed()
        search.scores = {0: score}
        assert sum(len(finds.further(FRAME)) for _ in range(TRIED_EVERY)) == found


def test_a_followed_sideways_face_that_is_lost_gives_way_only_to_a_surely_upright_one() -> None:
    for score, found in ((0.95, 1), (0.7, 0)):
        search = Shown({1: 0.7})
        finds = FirstFinds([search], settled)
        finds(FRAME)
        finds.followed()
        search.scores = {0: score}
        assert len(finds(FRAME)) == found


def test_small_faces_come_best_first_and_one_in_two_squares_once() -> None:
    def find(x: float, score: float) -> Find:
        return Find(score, Region(x, 45, 10, 10, 0.0), np.zeros((6, 2)))

    squares = iter([[find(20, 0.6), find(80, 0.7)], [find(81, 0.8), find(140, 0.9)]])

    def far(frame: np.ndarray, region: Region, floor: float) -> list[Find]:
        return next(squares)

    def near(frame: np.ndarray, region: Region, floor: float) -> list[Find]:
        return [find(region.x, {20: 0.6, 80: 0.7, 81: 0.8, 140: 0.9}[round(region.x)])]

    found = FarFaces(far, near, 0.5)(FRAME, 0)
    assert [box.score for box in found] == [0.9, 0.8, 0.6]
