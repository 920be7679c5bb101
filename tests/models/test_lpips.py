"""LPIPS is put together from the two published files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.models.lpips import FEATURES, Lpips, LpipsLayers, VggTrunk, _unit
from latentsync.weights.load import build
from latentsync.weights.manifest import LPIPS, VGG16

CPU = torch.device("cpu")
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of torchvision's vgg16.features


@pytest.fixture(scope="module")
def trunk() -> VggTrunk:
    torch.manual_seed(1)
    return VggTrunk()


def torchvisions(trunk: VggTrunk) -> dict[str, Tensor]:
    """As vgg16-397923af.pth: with a classifier."""
    classifier = {
        f"classifier.{n}.{kind}": torch.zeros(1) for n in (0, 3, 6) for kind in ("weight", "bias")
    }
    return {**trunk.state_dict(), **classifier}


def test_the_trunk_takes_torchvision_s_file_and_leaves_its_classifier(
    trunk: VggTrunk, tmp_path: Path
) -> None:
    assert list(trunk.state_dict()) == [
        f"features.{n}.{kind}" for n in CONVOLUTIONS for kind in ("weight", "bias")
    ]
    file = torchvisions(trunk)
    torch.save(file, tmp_path / "vgg.pth")
    loaded = build(VggTrunk, VGG16, tmp_path / "vgg.pth", CPU, part=FEATURES)
    images = torch.rand(1, 3, 16, 16)
    for ours, given in zip(loaded(images), trunk(images), strict=True):
        assert torch.equal(ours, given)
    del file["features.28.bias"]
    torch.save(file, tmp_path / "vgg.pth")
    with pytest.raises(CheckpointError, match=r"missing: features\.28\.bias"):
        build(VggTrunk, VGG16, tmp_path / "vgg.pth", CPU, part=FEATURES)


def test_the_layers_take_lpips_own_file(tmp_path: Path) -> None:
    shapes = {
        f"lin{n}.model.1.weight": (1, c, 1, 1) for n, c in enumerate((64, 128, 256, 512, 512))
    }
    torch.save({key: torch.full(shape, 0.5) for key, shape in shapes.items()}, tmp_path / "vgg.pth")
    layers = build(LpipsLayers, LPIPS, tmp_path / "vgg.pth", CPU)
    squares = [torch.ones(2, c, 3, 3) for _, c, _, _ in shapes.values()]
    assert layers(squares).tolist() == [0.5 * (64 + 128 + 256 + 512 + 512)] * 2


def test_the_distance_of_an_image_to_itself_is_0_and_grows_with_the_difference(
    trunk: VggTrunk,
) -> None:
    layers = LpipsLayers()
    for weights in layers.parameters():
        torch.nn.init.constant_(weights, 0.1)
    network = Lpips(trunk, layers).requires_grad_(False)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    same, near, far = (network(images, images + by * noise) for by in (0, 0.05, 0.5))
    assert same.tolist() == [0, 0]
    assert (near > 0).all() and (near < far).all()


def test_a_place_where_no_channel_answers_has_a_gradient() -> None:
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    _unit(features).sum().backward()
    assert features.grad is not None and bool(features.grad.isfinite().all())
