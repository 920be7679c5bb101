"""restore.strength: auto adds as much of a restoration as the face supports, once a track."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from latentsync.restoration.mouth_blur import FINE, TrackBlur
from latentsync.restoration.patch import PatchWindow
from latentsync.restoration.strength import TOLERANCE, MatchedStrengths, matched_strength

SIZE = (90, 120)
MASK = np.ones(SIZE, np.float32)


def mouths(seed: int = 0, count: int = 2) -> torch.Tensor:
    noise = torch.rand(count, 1, *SIZE, generator=torch.manual_seed(seed)) - 0.5
    soft = [cv2.GaussianBlur(plane.numpy(), (0, 0), 1.5) for plane in noise[:, 0]]
    return torch.from_numpy(np.stack(soft))[:, None].expand(-1, 3, -1, -1) * 2


def fine_energy(images: torch.Tensor, sigma: float = FINE) -> float:
    planes = images.mean(1).numpy()
    return sum(float(np.square(p - cv2.GaussianBlur(p, (0, 0), sigma)).sum()) for p in planes)


def blur(left: float) -> TrackBlur:
    return TrackBlur(1.5, 1.0, 1.1, left, own=False)


@pytest.mark.parametrize("goal", [1.2, 2.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_fine_energy_reaches_the_goal(goal: float, seed: int) -> None:
    faces, changes = mouths(seed), 2 * mouths(seed) + mouths(seed + 5)
    strength = matched_strength(faces, changes, MASK, 1.0, goal)
    assert 0 < strength < 1
    assert fine_energy(faces + strength * changes) == pytest.approx(
        goal * fine_energy(faces), rel=1e-3
    )


def test_what_raises_it_by_less_is_applied_in_full() -> None:
    assert matched_strength(mouths(), 0.1 * mouths(), MASK, 1.0, 2.0) == 1.0
    assert matched_strength(mouths(), torch.zeros(2, 3, *SIZE), MASK, 1.0, 1.1) == 1.0


def test_a_mouth_that_has_all_its_detail_gets_next_to_nothing() -> None:
    strength = matched_strength(mouths(), mouths(3) * 5, MASK, 1.0, TOLERANCE)
    assert strength < 0.15


def test_only_what_the_mask_shows_counts() -> None:
    changes, mask = torch.zeros(2, 3, *SIZE), MASK.copy()
    changes[..., :30, :] = 3 * mouths(4)[..., :30, :]
    mask[:50] = 0
    assert matched_strength(mouths(), changes, mask, 1.0, 1.1) == 1.0
    assert matched_strength(mouths(), changes, MASK, 1.0, 1.1) < 0.5


def test_detail_finer_than_the_frame_does_not_count() -> None:
    checkers = torch.from_numpy((np.indices(SIZE).sum(0) % 2).astype(np.float32) - 0.5)
    changes = checkers.expand(2, 3, *SIZE)
    assert matched_strength(mouths(), changes, MASK, 2.0, 1.1) == 1.0
    assert matched_strength(mouths(), changes, MASK, 1.0, 1.1) < 0.5


def window() -> PatchWindow:
    return PatchWindow.of(MASK, highpass_sigma=0.0)


def test_each_track_is_matched_once_by_its_own_blur() -> None:
    asked = []

    def residuals(batch: torch.Tensor) -> torch.Tensor:
        asked.append(len(batch))
        return 4 * batch

    matched = MatchedStrengths({0: list(mouths()), 1: list(mouths())})
    strengths = [
        matched.of(track, blur(left), residuals, window(), 1.0)
        for track, left in ((0, 0.5), (1, 0.25), (0, 0.5))
    ]
    assert asked == [2, 2]
    assert strengths[0] == strengths[2] < strengths[1] < 1


def test_nothing_known_of_the_mouth_leaves_the_full_strength() -> None:
    matched = MatchedStrengths({0: list(mouths()), 1: []})
    for track, known in ((0, TrackBlur.nothing()), (1, blur(0.5))):
        assert matched.of(track, known, lambda batch: 9 * batch, window(), 1.0) == 1.0
