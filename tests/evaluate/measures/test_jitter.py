"""Jitter: what trembles is told from what talks, in pixels of the frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from latentsync.evaluate.measures.jitter import FIGURES, Jitter
from latentsync.evaluate.pair import SeenFace
from tests.support.seen_faces import BROWS, by_name, pairs, seen_face

FRAMES = 200
STATISTICS = {one.name: one.statistic for one in FIGURES}
GRADES = {one.name: one for one in FIGURES}


def talking(displaced: np.ndarray | None = None, *, head: float = 0.0) -> list[SeenFace]:
    """Opens and shuts three times a second. displaced: (F, 2) of the mouth. head: how fast the face
    crosses the frame [pixels a frame]."""
    moved = np.zeros((FRAMES, 2)) if displaced is None else displaced
    phase = 2 * np.pi * 3 / 25 * np.arange(FRAMES)
    return [
        seen_face(0.15 + 0.1 * np.sin(p), mouth=m, at=head * i)
        for i, (p, m) in enumerate(zip(phase, moved, strict=True))
    ]


def hopping(pixels: float) -> np.ndarray:
    """Every other frame, downwards."""
    return np.stack([np.zeros(FRAMES), pixels * (np.arange(FRAMES) % 2)], axis=1)


def figures(
    jitter: Jitter,
    shown: Sequence[SeenFace],
    sources: Sequence[SeenFace] | None = None,
    *,
    seen: Sequence[bool] | None = None,
) -> dict[str, float]:
    for pair in pairs(shown, sources, seen=seen):
        jitter.add(pair)
    return {
        name: STATISTICS[name](one.known().rows) for name, one in by_name(jitter.results()).items()
    }


def test_a_patch_that_hops_by_a_pixel_shows_and_talking_does_not() -> None:
    assert figures(Jitter(), talking())["jitter"] < 0.1
    assert figures(Jitter(), talking(hopping(1)))["jitter"] == pytest.approx(0.96, abs=0.1)


def test_noise_of_a_pixel_is_a_pixel() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (FRAMES, 2))
    found = figures(Jitter(), talking(noise))["jitter"]
    assert found == pytest.approx(1.18, abs=0.15)  # the median of a Rayleigh distribution


def test_a_head_that_crosses_the_frame_does_not_tremble() -> None:
    assert figures(Jitter(), talking(head=3))["jitter"] < 0.1


def test_the_result_is_compared_with_its_source() -> None:
    rough = np.random.default_rng(1).normal(0, 0.2, (FRAMES, 2))
    source = talking(rough)
    same = figures(Jitter(), source, source)
    worse = figures(Jitter(), talking(rough + hopping(1)), source)
    assert same["jitter_over_source"] == 1
    assert worse["jitter_over_source"] > 3
    assert "jitter_added" not in same


def test_with_the_same_speech_only_what_was_added_counts() -> None:
    lively = np.random.default_rng(1).normal(0, 2, (FRAMES, 2))
    source = talking(lively)
    assert figures(Jitter(same_speech=True), source, source)["jitter_added"] == 0
    hopped = talking(lively + hopping(1))
    found = figures(Jitter(same_speech=True), hopped, source)["jitter_added"]
    assert found == pytest.approx(100 * 0.96 / BROWS, rel=0.05)
    poor = GRADES["jitter_added"].poor
    assert poor is not None and found > poor


def test_frames_that_are_not_neighbours_are_not_compared() -> None:
    jumping = talking(50.0 * (np.arange(FRAMES) // 8 % 3)[:, None] * np.ones(2))
    burst = [index % 24 < 8 for index in range(FRAMES)]
    torn = [index % 8 < 4 for index in range(FRAMES)]
    assert figures(Jitter(), jumping, seen=burst)["jitter"] < 0.1
    assert figures(Jitter(), jumping, seen=torn) == {}


def test_bursts_give_about_the_same() -> None:
    noise = np.random.default_rng(2).normal(0, 0.3, (FRAMES, 2)) + hopping(1)
    burst = [index % 24 < 8 for index in range(FRAMES)]
    whole = figures(Jitter(), talking(noise))["jitter"]
    assert figures(Jitter(), talking(noise), seen=burst)["jitter"] == pytest.approx(whole, rel=0.2)
