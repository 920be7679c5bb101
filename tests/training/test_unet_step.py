"""A training step of the U-Net: what it adds up, what it depends on, and what it leaves alone.

That it computes what upstream does is compared in tests/parity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from latentsync.models.stable_syncnet import StableSyncNet
from latentsync.models.unet import UNet3DConditionModel
from latentsync.models.video_mae import VideoMae
from latentsync.training.draws import draw
from latentsync.training.unet_step import LossWeights, UNetStep
from tests.models.test_video_mae import TINY
from tests.support.tiny_training import FRAMES, SIDE, SYNCNET, UNET, SmallVae, clips, one

KEEP = torch.ones(SIDE, SIDE)
KEEP[SIDE // 2 :] = 0
WEIGHTS = LossWeights(recon=2.0, sync=0.5, trepa=30.0)

Make = Callable[..., UNetStep]


@pytest.fixture(scope="module")
def unet() -> UNet3DConditionModel:
    torch.manual_seed(1)
    return UNet3DConditionModel(**UNET)


@pytest.fixture(scope="module")
def make(unet: UNet3DConditionModel) -> Make:
    """With the sync loss and TREPA, unless others are wanted."""
    torch.manual_seed(2)
    syncnet, video_mae = StableSyncNet(SYNCNET), VideoMae(TINY)

    def made(**options: object) -> UNetStep:
        given = {"weights": WEIGHTS, "sync_side": SIDE, "syncnet": syncnet, "trepa": video_mae}
        return UNetStep(unet, SmallVae(), KEEP, **(given | options))  # type: ignore[arg-type]

    return made


def test_the_total_is_the_weighted_sum_and_each_clip_has_its_share(make: Make) -> None:
    step = make()
    losses = step.losses(step.model, clips())
    weights = {"recon": 2.0, "sync": 0.5, "trepa": 30.0}
    assert set(losses.parts) == set(weights)
    added = sum(weights[name] * value for name, value in losses.parts.items())
    torch.testing.assert_close(losses.total.detach(), torch.as_tensor(added))
    torch.testing.assert_close(losses.each.mean(), losses.total.detach())
    assert losses.total.requires_grad and not losses.each.requires_grad


def test_a_clip_s_loss_does_not_depend_on_its_batch_or_on_what_was_drawn_before(
    make: Make,
) -> None:
    step, both = make(), clips()
    together = step.losses(step.model, both).each
    torch.manual_seed(9)
    before = torch.get_rng_state()
    alone = torch.cat([step.losses(step.model, one(both, number)).each for number in (1, 0)])
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(together, alone.flip(0), rtol=1e-4, atol=1e-5)
    other = replace(both, seeds=both.seeds + 7)
    assert (step.losses(step.model, other).each - together).abs().max() > 0.01


def test_gradients_reach_the_u_net_and_nothing_else(make: Make, unet: nn.Module) -> None:
    step = make(weights=LossWeights(recon=0.0, sync=1.0))
    frozen = [value for network in step._frozen() for value in network.parameters()]
    assert frozen and not any(value.requires_grad for value in frozen)
    step.losses(unet, clips()).total.backward()
    assert all(value.grad is None for value in frozen)
    last = unet.get_parameter("conv_out.weight").grad
    assert last is not None and last.abs().max() > 0, "the sync loss trains the U-Net"
    unet.zero_grad(set_to_none=True)


def test_the_masked_part_of_the_face_is_hidden_from_the_network(make: Make) -> None:
    step, batch = make(), clips()
    changed = batch.faces.clone()
    changed[..., SIDE // 2 :, :] *= -1
    draws = draw(batch.seeds, FRAMES, SIDE // 8)
    ours, theirs = (step.encode(some, draws) for some in (batch, replace(batch, faces=changed)))
    assert torch.equal(ours.masked, theirs.masked)
    assert torch.equal(ours.reference, theirs.reference)
    assert not torch.equal(ours.faces, theirs.faces)
    problem = step.problem(ours, draws.independent, draws.timesteps)
    rows = problem.sample[:, 4].unique(dim=-1).squeeze(-1)
    assert torch.equal(rows[0, 0], torch.tensor([1.0, 1.0, 0.0, 0.0])), "1 is kept"


@pytest.mark.parametrize(
    ("options", "parts", "decodes"),
    [
        ({"weights": LossWeights(sync=0.0)}, {"recon", "trepa"}, True),
        ({"weights": LossWeights(trepa=0.0)}, {"recon", "sync"}, True),
        ({"weights": LossWeights(sync=0.0, trepa=0.0)}, {"recon"}, False),
        ({"syncnet": None, "trepa": None}, {"recon"}, False),
    ],
    ids=["no sync", "no TREPA", "weights of 0", "stage 1"],
)
def test_a_loss_without_weight_or_network_is_not_computed(
    make: Make, options: dict[str, object], parts: set[str], decodes: bool
) -> None:
    step = make(**options)
    with torch.no_grad():
        losses = step.losses(step.model, clips())
    assert set(losses.parts) == parts
    assert bool(step._vae.decoded) == decodes


def test_under_autocast_losses_are_float32_and_near(make: Make) -> None:
    step, batch = make(syncnet=None, trepa=None), clips()
    with torch.no_grad():
        exact = step.losses(step.model, batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = step.losses(step.model, batch)
    assert rounded.each.dtype == torch.float32
    torch.testing.assert_close(rounded.each, exact.each, rtol=0.01, atol=0)
    assert not torch.equal(rounded.each, exact.each), "the U-Net itself ran in bfloat16"


def test_autocast_does_not_reach_the_losses_and_their_networks(make: Make) -> None:
    step, batch = make(), clips()
    draws = draw(batch.seeds, FRAMES, SIDE // 8)
    plain = step.encode(batch, draws)
    problem = step.problem(plain, draws.independent, draws.timesteps)
    exact = step.terms(draws.independent, problem, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        latents = step.encode(batch, draws)
        terms = step.terms(draws.independent, problem, batch)
    assert torch.equal(latents.faces, plain.faces)
    for name, values in terms.items():
        assert torch.equal(values, exact[name]), name


def test_a_clip_that_is_not_a_number_is_named_and_does_not_touch_the_other(make: Make) -> None:
    step, batch = make(), clips()
    good = step.losses(step.model, batch).each
    broken = batch.faces.clone()
    broken[1, 3, 0, 0, 0] = float("nan")
    losses = step.losses(step.model, replace(batch, faces=broken))
    assert torch.isfinite(losses.each).tolist() == [True, False]
    torch.testing.assert_close(losses.each[0], good[0], rtol=1e-4, atol=1e-5)
    assert not torch.isfinite(losses.total)


def test_the_sync_loss_needs_the_audio(make: Make) -> None:
    step = make()
    with pytest.raises(ValueError, match="mel spectrogram"):
        step.losses(step.model, replace(clips(), mel=None))
