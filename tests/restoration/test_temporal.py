"""What is added to a frame: no colour, no pumping, no flicker where nothing moves, no ghosts."""

from __future__ import annotations

import pytest
import torch

from latentsync.restoration.patch import residual
from latentsync.restoration.temporal import ResidualSmoother

SIZE = (3, 96, 128)
LEVEL = 1 / 127.5  # one 8-bit code value


def noise(seed: int, size: tuple[int, ...] = SIZE) -> torch.Tensor:
    return torch.randn(size, generator=torch.manual_seed(seed))


def image(seed: int = 0) -> torch.Tensor:
    """A smooth image with some contrast, (3, h, w)."""
    small = noise(seed, (1, 3, 12, 16))
    return torch.nn.functional.interpolate(small, SIZE[1:], mode="bicubic")[0].clamp(-2, 2) / 3


@pytest.mark.parametrize("beta", [0.5, 0.8])
def test_flicker_on_still_content_falls_as_theory_says(beta: float) -> None:
    smoother, source, constant = ResidualSmoother(beta), image(), image(1)
    out = [smoother(constant + 0.1 * noise(100 + i), source) for i in range(80)]
    settled = torch.stack(out[40:])
    assert torch.allclose(settled.mean(0), constant, atol=0.15)
    # Variance (1 - beta) / (1 + beta) of what came in; 40 frames of each pixel: two percent.
    measured = float((settled - constant).square().mean().sqrt())
    assert measured == pytest.approx(0.1 * ((1 - beta) / (1 + beta)) ** 0.5, rel=0.02)


def test_noise_in_the_source_is_not_motion() -> None:
    smoother, source, constant = ResidualSmoother(0.8), image(), image(1)
    for i in range(60):
        out = smoother(constant + 0.1 * noise(100 + i), source + 1.5 * LEVEL * noise(200 + i))
    assert float((out - constant).std()) < 0.06


def test_where_the_mouth_moves_no_ghost_is_left() -> None:
    smoother, before = ResidualSmoother(0.9), image()
    after = before.clone()
    after[:, 30:70, 40:90] += 0.4  # fifty code values: the mouth has opened
    mark = torch.full(SIZE, 0.5)
    for _ in range(10):
        smoother(mark, before)
    out = smoother(torch.zeros(SIZE), after)
    assert float(out[:, 34:66, 44:86].abs().max()) < 0.5 * LEVEL
    assert float(out[:, :20].min()) > 0.4  # where nothing moved the past still counts


def panned(seed: int, x: int, size: int = 1) -> torch.Tensor:
    """(3, h, w): a window of a textured image that moves right by x pixels."""
    wide = noise(seed, (1, 3, 12, 24))
    wide = torch.nn.functional.interpolate(wide, (96, 192), mode="bicubic")[0].clamp(-2, 2) / 3
    return wide[:, :, 40 - x : 168 - x] * size


def test_flicker_is_averaged_along_the_motion_and_detail_follows_it() -> None:
    smoother = ResidualSmoother(0.8)
    for i in range(20):
        out = smoother(panned(1, i) + 0.1 * noise(100 + i), panned(0, i))
    left = (out - panned(1, 19))[:, 16:-16, 24:-24]
    assert float(left.std()) < 0.06  # 0.033 in theory; without following it, over 0.1


def test_a_change_of_the_whole_image_is_motion_too() -> None:
    smoother, before = ResidualSmoother(0.9), image()
    smoother(torch.full(SIZE, 0.5), before)
    out = smoother(torch.zeros(SIZE), image(7))
    assert float(out.abs().mean()) < 0.02


def test_after_a_reset_nothing_of_the_past_is_left() -> None:
    smoother, source, fresh = ResidualSmoother(0.9), image(), noise(5)
    smoother(noise(4), source)
    smoother.reset()
    assert torch.equal(smoother(fresh, source), fresh)


def test_a_beta_of_zero_changes_nothing() -> None:
    smoother = ResidualSmoother(0.0)
    for i in range(3):
        given = noise(i)
        assert smoother(given, image()) is given


@pytest.mark.parametrize("beta", [-0.1, 1.0])
def test_a_beta_without_meaning_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        ResidualSmoother(beta)


def test_a_residual_without_a_high_pass_is_the_difference() -> None:
    restored, source = noise(0)[None], noise(1)[None]
    assert torch.equal(residual(restored, source, highpass_sigma=0), restored - source)


def test_a_shift_of_colour_is_not_passed_on_and_a_tooth_is() -> None:
    source = image()[None]
    restored = source + torch.tensor([0.2, -0.1, 0.05])[:, None, None]
    restored[:, :, 40:44, 60:64] += 0.5
    left = residual(restored, source, highpass_sigma=9.0)
    away = left[..., :, 100:]
    assert float(away.abs().max()) < 0.5 * LEVEL
    assert float(left[..., 41:43, 61:63].min()) > 0.45


def test_a_small_patch_has_a_residual_as_well() -> None:
    difference = residual(noise(0, (2, 3, 10, 7)), noise(1, (2, 3, 10, 7)), highpass_sigma=9.0)
    assert difference.shape == (2, 3, 10, 7)
    assert float(difference.mean((2, 3)).abs().max()) < 0.3
