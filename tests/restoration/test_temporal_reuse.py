"""A mouth that has not changed is spared the restorer; one that has is not, however slowly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from latentsync.restoration.temporal import LONGEST, Mouth, ResidualReuse, mouth_change

SIZE = 96
LEVEL = 1 / 127.5  # one 8-bit code value
MASK = np.zeros((SIZE, SIZE), np.float32)
MASK[40:80, 30:70] = 1


class Restorer:
    """Returns a different residual for each mouth, and records its inputs."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, mouths: torch.Tensor) -> torch.Tensor:
        first = sum(self.calls)
        self.calls.append(len(mouths))
        return torch.arange(first, first + len(mouths), dtype=torch.float32)[:, None]


def noise(seed: int) -> torch.Tensor:
    return torch.randn((3, SIZE, SIZE), generator=torch.manual_seed(seed))


def face() -> torch.Tensor:
    """(3, h, w), smooth."""
    small = torch.randn((1, 3, 6, 6), generator=torch.manual_seed(0))
    return torch.nn.functional.interpolate(small, (SIZE, SIZE), mode="bicubic")[0] / 4


def opened(levels: float) -> torch.Tensor:
    """The same face, the middle of its mouth by so many levels darker."""
    mouth = face()
    mouth[:, 50:70, 40:60] -= levels * LEVEL
    return mouth


def mouth_of(number: int, pixels: torch.Tensor) -> Mouth:
    """One that looks the same along any matrix."""
    return Mouth(number, pixels, np.eye(2, 3), lambda _: pixels)


def used(
    reuse: ResidualReuse, mouths: Sequence[torch.Tensor], restorer: Restorer, *, first: int = 1
) -> list[int]:
    """Which of the restorer's residuals each mouth got."""
    given = [mouth_of(number, pixels) for number, pixels in enumerate(mouths, first)]
    return [int(residual) for residual, _ in reuse(given, restorer)]


def entered(threshold: float) -> ResidualReuse:
    reuse = ResidualReuse(threshold)
    reuse.enter(MASK)
    return reuse


def test_still_mouths_take_the_first_one_s_residual() -> None:
    reuse, restorer = entered(2), Restorer()
    assert used(reuse, [face()] * 5, restorer) == [0] * 5
    assert (restorer.calls, reuse.reused) == ([1], 4)


def test_a_changed_mouth_gets_its_own() -> None:
    reuse, restorer = entered(4), Restorer()
    mouths = [face(), opened(20), opened(20), face()]
    assert used(reuse, mouths, restorer) == [0, 1, 1, 2]
    assert reuse.reused == 1


def test_batches_change_nothing() -> None:
    mouths = [face(), face(), opened(20), opened(20), opened(20), face()]
    together, apart = Restorer(), Restorer()
    one, other = entered(4), entered(4)
    expected = used(one, mouths, together)
    got = [used(other, [m], apart, first=i)[0] for i, m in enumerate(mouths, 1)]
    assert got == expected == [0, 0, 1, 1, 1, 2]
    assert apart.calls == [1, 1, 1], "called for what is spared"


def test_slow_drift_does_not_add_up() -> None:
    mouths = [opened(1.5 * i) for i in range(10)]
    assert used(entered(4), mouths, Restorer()) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_residuals_have_a_greatest_age_and_segments_of_a_video_agree_again() -> None:
    whole, piece = Restorer(), Restorer()
    mouths = [face()] * (2 * LONGEST)
    everything = used(entered(2), mouths, whole, first=0)
    assert everything == [0] * LONGEST + [1] * LONGEST
    late = used(entered(2), mouths[5:], piece, first=5)
    assert late == everything[5:]


def test_noise_is_not_change() -> None:
    noisy = [face() + 1.5 * LEVEL * noise(i) for i in range(5)]
    assert used(entered(2), noisy, Restorer()) == [0] * 5
    assert used(entered(2), [noisy[0], opened(8) + 1.5 * LEVEL * noise(9)], Restorer()) == [0, 1]


def test_change_outside_the_mouth_does_not_count() -> None:
    blinked = face()
    blinked[:, 5:15, 20:80] += 0.4
    assert mouth_change(blinked, face(), MASK) == 0


def test_the_measure_is_in_code_values() -> None:
    wide = opened(0)
    wide[:, 36:84, 26:74] -= 10 * LEVEL
    assert mouth_change(wide, face(), MASK) == pytest.approx(10, rel=1e-3)


def test_a_change_of_the_whole_image_is_no_noise() -> None:
    assert mouth_change(face() + 40 * LEVEL, face(), MASK) > 30


def test_after_a_gap_the_mouth_is_new() -> None:
    reuse, restorer = entered(2), Restorer()
    assert used(reuse, [face()], restorer, first=1) == [0]
    assert used(reuse, [face()], restorer, first=3) == [1]


def test_on_another_track_the_mouth_is_new() -> None:
    reuse, restorer = entered(2), Restorer()
    assert used(reuse, [face()], restorer, first=1) == [0]
    reuse.enter(MASK)
    assert used(reuse, [face()], restorer, first=2) == [1]


def test_a_threshold_of_zero_restores_every_mouth() -> None:
    reuse, restorer = entered(0), Restorer()
    assert used(reuse, [face()] * 3, restorer) == [0, 1, 2]
    assert (restorer.calls, reuse.reused) == ([3], 0)


def test_where_nothing_moved_the_residual_stays_in_its_place_whatever_the_landmarks_say() -> None:
    reuse, first, second = entered(2), np.eye(2, 3), np.eye(2, 3) + 0.01
    views = {id(first): face(), id(second): opened(20)}
    for number, matrix in enumerate((first, second), 1):
        mouth = Mouth(number, views[id(matrix)], matrix, lambda at: views[id(at)])
        ((residual, place),) = reuse([mouth], Restorer())
        assert (int(residual), place is first) == (0, True)
    assert reuse.reused == 1


def test_a_residual_goes_along_with_a_mouth_that_moves_with_its_face() -> None:
    reuse, first, second = entered(2), np.eye(2, 3), np.eye(2, 3) + 5
    views = {id(first): opened(20), id(second): face()}
    reuse([Mouth(1, face(), first, lambda _: face())], Restorer())
    ((_, place),) = reuse([Mouth(2, face(), second, lambda at: views[id(at)])], Restorer())
    assert place is second
    assert reuse.reused == 1
