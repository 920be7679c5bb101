"""Degradations are deterministic, and the right one is estimated from degraded mouths alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from latentsync.media.reader import VideoReader
from latentsync.restoration.personal.degradation import (
    Degradation,
    candidate_degradations,
    neighbours,
)
from latentsync.restoration.personal.likelihood import (
    counterparts,
    likely_degradations,
    signature,
)
from tests.restoration.test_detail import SIZE, scene
from tests.support.media_factory import make_video

MASK = np.ones(SIZE, np.float32)


def mouths(first: int, count: int) -> np.ndarray:
    """(count, h, w) float32 code values."""
    return np.stack([scene(seed)[: SIZE[0]] for seed in range(first, first + count)]).astype("f4")


@pytest.mark.parametrize("degradation", candidate_degradations()[::9], ids=str)
def test_a_degradation_gives_the_same_every_time_and_half_code_values(
    degradation: Degradation,
) -> None:
    image = mouths(0, 1)[0]
    degraded = degradation(image)
    assert degraded.shape == image.shape and degraded.dtype == np.float32
    assert np.array_equal(degraded, degradation(image.copy()))
    assert (
        np.array_equal(2 * degraded, np.rint(2 * degraded))
        and degraded.min() >= 0
        and degraded.max() <= 255
    )


def test_another_seed_gives_other_noise() -> None:
    image = mouths(0, 1)[0]
    assert not np.array_equal(
        Degradation(noise=2.0, seed=1)(image), Degradation(noise=2.0, seed=2)(image)
    )


def test_the_candidates_are_the_same_for_the_same_seed_and_start_with_no_degradation() -> None:
    assert (
        candidate_degradations(seed=3)
        == candidate_degradations(seed=3)
        != candidate_degradations(seed=4)
    )
    assert candidate_degradations()[0].parts == 0
    image = np.rint(mouths(0, 1)[0])
    assert np.array_equal(candidate_degradations()[0](image), image)


def test_a_smaller_image_comes_back_in_its_place() -> None:
    image = mouths(0, 1)[0]
    for seed in range(6):
        degraded = Degradation(shrink=3.0, seed=seed)(image)
        shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        inner = (slice(8, -8), slice(8, -8))
        errors = [((np.roll(degraded, s, (0, 1)) - image)[inner] ** 2).mean() for s in shifts]
        assert shifts[int(np.argmin(errors))] == (0, 0)


def test_neighbours_are_near_and_no_degradation_has_none() -> None:
    near = neighbours([Degradation(), Degradation(blur=2.0)], 20, seed=0)
    assert near[:2] == [Degradation(), Degradation(blur=2.0)] and len(near) == 22
    assert all(1.2 < degradation.blur < 3.3 and degradation.parts == 1 for degradation in near[2:])


def test_the_blur_is_estimated_from_other_mouths() -> None:
    originals, generated = mouths(0, 6), mouths(20, 6)
    for blur in (1.2, 2.2):
        found = likely_degradations(
            originals, np.stack([Degradation(blur=blur)(g) for g in generated]), MASK, most=8
        )
        alike = Degradation(blur=blur)
        gap = signature(found.degradations[0](originals[0]), MASK) - signature(
            alike(originals[0]), MASK
        )
        assert np.abs(gap).mean() < 0.25  # in log energy; sharp mouths differ by 2 and more
        assert found.weights.sum() == pytest.approx(1) and found.error < 3


def test_for_sharp_mouths_no_degradation_is_likeliest() -> None:
    originals = mouths(0, 6)
    found = likely_degradations(originals, np.rint(originals), MASK, most=8)
    assert found.degradations[0].parts == 0 and found.error < 0.1


def test_mouths_that_no_degradation_explains_have_a_high_error() -> None:
    originals = mouths(0, 4)
    random = np.random.default_rng(0)
    noisy = (originals + 25 * random.standard_normal(originals.shape)).astype(np.float32)
    assert likely_degradations(originals, noisy, MASK, most=8).error > 10


def test_a_blur_is_estimated_through_an_encoder(tmp_path: Path) -> None:
    """The encoder removes fine bands as a stronger blur would; the edges tell both apart."""
    originals, others = mouths(0, 8), mouths(20, 8)
    blurry = [Degradation(shrink=2.5)(luma) for luma in others]
    generated = through_encoder(blurry, tmp_path / "video.mp4", crf=28)
    found = likely_degradations(originals, generated, MASK, most=8)
    assert found.degradations[0].coding > 0
    before, after = (
        likely_degradations(others, np.stack(lumas), MASK, most=1).lost
        for lumas in (blurry, generated)
    )
    assert after == pytest.approx(before, abs=0.2) and before > 0.7


def through_encoder(lumas: Sequence[np.ndarray], path: Path, *, crf: int) -> np.ndarray:
    """(F, h, w) float32 code values -> the same after H.264; h and w even."""
    levels = [np.rint(luma).clip(0, 255).astype(np.uint8) for luma in lumas]
    grey = [np.repeat(luma[..., None], 3, axis=2) for luma in levels]
    make_video(path, grey, options={"crf": str(crf), "preset": "veryfast"})
    return np.stack([frame.pixels.mean(2).astype(np.float32) for frame in VideoReader(path)])


def test_a_counterpart_is_the_same_mouth_whatever_it_has_lost() -> None:
    originals = mouths(0, 8)
    order = [5, 2, 7, 0]
    degraded = np.stack([Degradation(blur=2.5)(originals[i]) for i in order])
    assert counterparts(originals, degraded, MASK).tolist() == order
