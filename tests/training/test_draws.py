"""Random numbers of a step belong to the clip, not to the batch or the process."""

from __future__ import annotations

import math

import pytest
import torch

from latentsync.training.draws import Draws, draw
from latentsync.training.noising import NoiseSchedule, mixed_noise

NAMES = tuple(Draws.__dataclass_fields__)


def test_a_clip_s_draws_do_not_depend_on_its_batch() -> None:
    both, alone = draw(torch.tensor([5, 6]), 3, 4), draw(torch.tensor([6]), 3, 4)
    for name in NAMES:
        assert torch.equal(getattr(both, name)[1:], getattr(alone, name)), name
        assert not torch.equal(getattr(both, name)[0], getattr(both, name)[1]), name


def test_no_two_purposes_share_their_numbers() -> None:
    one = draw(torch.tensor([5]), 3, 4)
    first = [float(getattr(one, name).flatten()[0]) for name in NAMES[:-1]]
    assert len(set(first)) == len(first)


def test_the_process_s_own_random_numbers_are_neither_used_nor_changed() -> None:
    torch.manual_seed(1)
    before, some = torch.get_rng_state(), draw(torch.tensor([5]), 3, 4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(draw(torch.tensor([5]), 3, 4).independent, some.independent)


def test_time_steps_are_spread_over_the_whole_schedule() -> None:
    steps = draw(torch.arange(400), 1, 1).timesteps
    assert steps.dtype == torch.int64
    assert 0 <= steps.min() < 20 and 980 < steps.max() <= 999
    assert 450 < steps.float().mean() < 550


def test_negative_and_huge_seeds_are_seeds_too() -> None:
    draws = draw(torch.tensor([-1, 2**63 - 1, 0]), 1, 2)
    assert len({float(value.flatten()[0]) for value in draws.shared}) == 3


@pytest.mark.parametrize(
    ("alpha", "correlation"), [(1.0, 0.5), (2.0, 0.8), (None, 1.0), (0.0, 0.0)]
)
def test_mixed_noise_is_normal_and_its_frames_are_correlated(
    alpha: float | None, correlation: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    shared = torch.randn(1, 4, 1, 64, 64, generator=generator)
    noise = mixed_noise(shared, torch.randn(1, 4, 2, 64, 64, generator=generator), alpha)
    frames = noise.movedim(2, 0).flatten(1)
    assert float(noise.std()) == pytest.approx(1, abs=0.03)
    assert float(torch.corrcoef(frames)[0, 1]) == pytest.approx(correlation, abs=0.03)


def test_the_estimate_undoes_the_noise_that_was_added() -> None:
    schedule, generator = NoiseSchedule(), torch.Generator().manual_seed(1)
    latents, noise = torch.randn(2, 2, 4, 3, 5, 5, generator=generator)
    steps = torch.tensor([10, 700])
    noisy = schedule.noisy(latents, noise, steps)
    torch.testing.assert_close(schedule.estimate(noisy, noise, steps), latents, rtol=0, atol=1e-4)
    assert math.isclose(float(noisy[0].std()), 1, abs_tol=0.15)
    assert (noisy[0] - latents[0]).abs().mean() < (noisy[1] - latents[1]).abs().mean() / 3
