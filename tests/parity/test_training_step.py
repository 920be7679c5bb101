"""A training step of the U-Net has the losses and gradients that the original's has."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.models.unet import UNet3DConditionModel
from latentsync.training import trainable
from latentsync.training.draws import Draws
from latentsync.training.losses.sync import network_input
from latentsync.training.losses.trepa import video_features
from latentsync.training.noising import mixed_noise
from latentsync.training.unet_step import Problem, UNetStep
from tests.parity import training_golden
from tests.parity.training_golden import Step

KIND = training_golden.KIND
RELATIVE = 1e-3  # of the largest value; 1e-4 is seen of the sync loss' gradient, else 1e-5
NOTHING = 1e-6  # of the largest norm: a gradient that is 0 but for rounding
STAGES_OF_TRAINING = (1, 2)
TERMS = ("recon", "sync", "lpips", "trepa")


@pytest.fixture(scope="module")
def golden(golden_file: Path) -> Step:
    about = json.loads(golden_file.with_suffix(".json").read_text())
    with np.load(golden_file) as stored:
        return Step(golden_file, about, dict(stored.items()))


@dataclass(eq=False)
class Done:
    """One step of a stage, with everything that was computed on the way."""

    unet: UNet3DConditionModel
    step: UNetStep
    problem: Problem
    predicted: Tensor
    terms: dict[str, Tensor]


@pytest.fixture(scope="module", params=STAGES_OF_TRAINING)
def stage(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def done(golden: Step, stage: int) -> Done:
    step = golden.step(stage)
    unet = step.model
    assert isinstance(unet, UNet3DConditionModel)
    trainable.choose(unet, golden.about["trainable_modules"] if stage == 2 else trainable.ALL)
    problem = step.problem(golden.latents, golden.tensor("noise"), golden.tensor("timesteps"))
    predicted = step.predict(unet, problem, golden.batch.audio)
    return Done(unet, step, problem, predicted, step.terms(predicted, problem, golden.batch))


@pytest.fixture(scope="module")
def gradients(done: Done) -> dict[str, Tensor]:
    """Of each loss with respect to the prediction."""
    return {
        name: torch.autograd.grad(values.mean(), done.predicted, retain_graph=True)[0]
        for name, values in done.terms.items()
    }


def equals(computed: Tensor, wanted: np.ndarray) -> None:
    allowed = RELATIVE * np.abs(wanted).max()
    np.testing.assert_allclose(computed.detach().numpy(), wanted, rtol=0, atol=allowed)


# What the U-Net is given


def test_faces_are_masked_as_the_original_s(golden: Step) -> None:
    every8 = (..., slice(None, None, 8), slice(None, None, 8))
    faces = golden.batch.faces
    equals(faces[every8], golden.stored["gt_pixel_every8"])
    equals((faces * golden.keep)[every8], golden.stored["masked_pixel_every8"])


def test_latents_and_noise_are_the_original_s(golden: Step) -> None:
    """From the same sequence of random numbers, which upstream lays out channels last."""
    b, f, side = golden.about["batch"], golden.about["num_frames"], golden.about["resolution"] // 8
    generator = torch.Generator().manual_seed(golden.about["seed"])
    posterior = [torch.randn(b, f, 4, side, side, generator=generator) for _ in range(3)]
    drawn = [
        torch.empty(b, f, side, side, 4).permute(0, 4, 1, 2, 3).normal_(generator=generator)
        for _ in range(1 if golden.alpha is None else 2)
    ]
    shared, independent = drawn[0][:, :, :1], drawn[-1]
    timesteps = torch.randint(0, 1000, (b,), generator=generator)
    assert timesteps.tolist() == golden.stored["timesteps"].tolist()
    equals(mixed_noise(shared, independent, golden.alpha), golden.stored["noise"])
    draws = Draws(*posterior, shared, independent, timesteps)
    latents = golden.step(1).encode(golden.batch, draws)
    equals(latents.faces, golden.stored["gt_latents"])
    equals(latents.masked, golden.stored["masked_latents"])
    equals(latents.reference, golden.stored["ref_latents"])


def test_the_input_is_the_original_s(golden: Step, done: Done) -> None:
    sample = done.problem.sample
    equals(sample[:, :4], golden.stored["noisy_gt_latents"])
    for frame in range(sample.shape[2]):
        equals(sample[:, 4:5, frame], golden.stored["masks"])
    assert torch.equal(
        sample[:, 5:], torch.cat([golden.latents.masked, golden.latents.reference], 1)
    )


def test_the_same_parameters_are_trained(golden: Step, done: Done, stage: int) -> None:
    names = [name for name, value in done.unet.named_parameters() if value.requires_grad]
    assert names == golden.about[f"stage{stage}_trainable"]


# Losses and gradients


def test_the_prediction_and_every_loss_are_the_original_s(
    golden: Step, done: Done, stage: int
) -> None:
    equals(done.predicted, golden.stored[f"stage{stage}_pred_noise"])
    assert set(done.terms) == set(TERMS if stage == 2 else TERMS[:1])
    for name, values in done.terms.items():
        equals(values.mean(), golden.stored[f"stage{stage}_{name}_loss"])


def test_each_loss_has_the_original_s_gradient(
    golden: Step, done: Done, gradients: dict[str, Tensor], stage: int
) -> None:
    if stage == 2:
        for name in TERMS:
            wanted = golden.stored[f"stage2_{name}_loss_grad_pred_noise_norm"]
            equals(gradients[name].norm(), wanted)


def test_the_total_and_its_gradients_are_the_original_s(
    golden: Step, done: Done, gradients: dict[str, Tensor], stage: int
) -> None:
    weights = dict(zip(TERMS, astuple(golden.weights), strict=True))
    total = sum(weights[name] * values.mean() for name, values in done.terms.items())
    equals(total, golden.stored[f"stage{stage}_loss"])
    whole = sum(weights[name] * gradient for name, gradient in gradients.items())
    trained = [value for value in done.unet.parameters() if value.requires_grad]
    of_parameters = torch.autograd.grad(done.predicted, trained, whole)
    norms = torch.stack([gradient.norm() for gradient in of_parameters])
    wanted = golden.stored[f"stage{stage}_grad_norms"]
    np.testing.assert_allclose(norms, wanted, rtol=RELATIVE, atol=NOTHING * wanted.max())
    equals(norms.norm(), golden.stored[f"stage{stage}_grad_norm"])


def test_the_faces_and_what_syncnet_makes_of_them_are_the_original_s(
    golden: Step, done: Done, stage: int
) -> None:
    if stage == 1:
        return
    assert golden.batch.mel is not None
    with torch.no_grad():
        latents = done.step.estimate(done.predicted, done.problem)
        given = network_input(done.step.faces(latents), golden.about["syncnet_resolution"])
        vision, audio = golden.syncnet(given, golden.batch.mel)
    equals(latents, golden.stored["stage2_pred_latents"])
    equals(given[..., ::4, ::4], golden.stored["stage2_syncnet_input_every4"])
    equals(vision, golden.stored["stage2_vision_embeds"])
    equals(audio, golden.stored["stage2_audio_embeds"])


@torch.no_grad()
def test_features_of_videos_are_the_original_s(golden: Step) -> None:
    shapes = {key: list(value.shape) for key, value in golden.video_mae.state_dict().items()}
    assert list(shapes.items()) == list(golden.about["videomae_keys"].items())
    equals(video_features(golden.video_mae, golden.batch.faces), golden.stored["trepa_gt_features"])


@torch.no_grad()
def test_perceptual_distances_are_the_original_s(golden: Step) -> None:
    half = golden.about["resolution"] // 2
    halves = (x.flatten(0, 1)[..., half:, :] for x in (golden.batch.faces, golden.batch.reference))
    equals(golden.lpips(*halves), golden.stored["lpips_gt_ref"])
