"""HyperIQA computes the scores that the original does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.models.hyperiqa import HyperIqa, scored
from tests.parity.filled import filled
from tests.parity.rule import named_normal, published_shapes

KIND = "hyperiqa"
TOLERANCE = 1e-5  # 2e-7 is seen


@pytest.fixture(scope="module")
def network() -> HyperIqa:
    with torch.device("meta"):
        network = HyperIqa()
    return filled(network)


@pytest.fixture
def golden(golden_file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(golden_file) as file:
        yield file


def test_the_network_has_the_published_keys_in_their_order() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in HyperIqa().state_dict().items()}
    assert list(shapes.items()) == list(published_shapes("hyperiqa").items())


def equals(computed: Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(computed.numpy(), wanted, rtol=0, atol=TOLERANCE)


def test_descriptions_biases_and_scores_are_the_original_s(
    network: HyperIqa, golden: np.lib.npyio.NpzFile, golden_file: Path
) -> None:
    name = "hyperiqa.frames" + golden_file.stem.removeprefix(KIND)
    frames = torch.from_numpy(named_normal(name, (len(golden["scores"]), 3, 224, 224)))
    with torch.no_grad():
        description, scorer = network.describe(frames)
        equals(description, golden["target_in_vec"])
        equals(scorer.biases[0], golden["fc1b"])
        equals(scorer.biases[-1], golden["fc5b"])
        scores = scored(description, scorer)
    equals(scores, golden["scores"])
    equals(scores.mean(), golden["mean"])
