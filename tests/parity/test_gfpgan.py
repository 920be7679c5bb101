"""Our GFPGAN computes what the original one does, bit noise aside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from GFPGAN.network import GFPGANv1Clean, InWindow
from GFPGAN.restorer import DEFAULT_FIDELITY, USUAL, load
from GFPGAN.window import WHOLE
from latentsync.errors import CheckpointError
from latentsync.runtime import openvino
from latentsync.runtime.execution import REFERENCE
from latentsync.runtime.openvino import Graph, plugins
from latentsync.settings.schema import RestoreConfig
from latentsync.types import Box
from tests.parity.rule import face, face_of, published_shapes

KIND = "gfpgan"
TOLERANCE = 1e-3  # 0.13 of a code value; about 3e-5 is seen, from another order of sums
CORNER = Box(0, 0, 32, 32)
"""All that depends on the whole face, and a tenth of the rest: for what is not about the size."""


@pytest.fixture
def network(gfpgan: GFPGANv1Clean) -> GFPGANv1Clean:
    return gfpgan


@torch.inference_mode()
def restore(network: GFPGANv1Clean, faces: Tensor, window: Box = WHOLE) -> Tensor:
    return network(faces, window)


def inside(image: Tensor, window: Box) -> Tensor:
    return image[:, :, window.y0 : window.y1, window.x0 : window.x1]


@contextmanager
def changed(network: GFPGANv1Clean, key: str, value: float) -> Iterator[None]:
    """One number of one tensor, for as long as the block lasts."""
    number = network.state_dict()[key].view(-1)[:1]
    before = number.clone()
    number.fill_(value)
    try:
        yield
    finally:
        number.copy_(before)


def test_the_golden_output_is_reproduced(
    network: GFPGANv1Clean, one_face: Tensor, restored_face: Tensor, golden_file: Path
) -> None:
    golden, given = np.load(golden_file), face_of(golden_file, KIND)
    same = torch.equal(given, one_face)
    restored = (restored_face if same else restore(network, given))[0].numpy()
    np.testing.assert_allclose(restored[:, ::4, ::4], golden["out_every4"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(restored.mean((1, 2)), golden["mean"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(restored.std((1, 2)), golden["std"], rtol=0, atol=TOLERANCE)


def test_keys_shapes_and_order_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        ours = {key: tuple(value.shape) for key, value in GFPGANv1Clean().state_dict().items()}
    assert list(ours.items()) == list(published_shapes("gfpgan_v14").items())


def test_a_batch_in_channels_last_gives_what_a_face_gives_alone(
    network: GFPGANv1Clean, one_face: Tensor, restored_face: Tensor
) -> None:
    with torch.device("meta"):
        other = GFPGANv1Clean()
    last = {
        key: value.to(memory_format=torch.channels_last) if value.dim() == 4 else value
        for key, value in network.state_dict().items()
    }
    other.load_state_dict(last, assign=True)
    both = torch.cat([face("another.face"), one_face])
    restored = restore(other, both.to(memory_format=torch.channels_last), CORNER)
    torch.testing.assert_close(restored[1:], inside(restored_face, CORNER), rtol=0, atol=TOLERANCE)
    assert (restored[0] - restored[1]).abs().max() > 0.1, "the faces are too much alike"


@pytest.mark.parametrize("key", ["stylegan_decoder.noises.noise14", "condition_shift.6.2.bias"])
def test_a_changed_weight_changes_the_output(
    network: GFPGANv1Clean, one_face: Tensor, restored_face: Tensor, key: str
) -> None:
    with changed(network, key, 1e3):
        restored = restore(network, one_face, CORNER)
    assert (restored - inside(restored_face, CORNER)).abs().max() > 10 * TOLERANCE


def test_bfloat16_runs_through() -> None:
    with torch.device("meta"):
        network = GFPGANv1Clean().bfloat16()
        restored = restore(network, torch.empty(2, 3, 512, 512, dtype=torch.bfloat16))
    assert (restored.shape, restored.dtype) == ((2, 3, 512, 512), torch.bfloat16)


def test_another_size_is_refused() -> None:
    with torch.device("meta"):
        network, small = GFPGANv1Clean(), torch.empty(1, 3, 256, 256)
    with pytest.raises(ValueError, match=r"\(N, 3, 512, 512\), not \(1, 3, 256, 256\)"):
        network(small)


@pytest.fixture(scope="module")
def checkpoint(gfpgan: GFPGANv1Clean, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("gfpgan") / "GFPGANv1.4.pth"
    torch.save({"params_ema": gfpgan.state_dict()}, path)
    return str(path)


def test_the_restorer_clamps_and_blends_with_the_input(
    checkpoint: str, one_face: Tensor, restored_face: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of the file are used, as a corner shows; the rest needs no second computation."""
    restorer = load(RestoreConfig(checkpoint=checkpoint), REFERENCE)
    assert (restorer.name, restorer.size) == ("GFPGAN", 512)
    out_of_range = restored_face.abs() > 1
    assert out_of_range.any(), "else clamping would not be put to the test"
    clamped = restored_face.clamp(-1, 1)
    expected = DEFAULT_FIDELITY * one_face + (1 - DEFAULT_FIDELITY) * clamped
    corner = restorer.within(CORNER)(one_face)
    torch.testing.assert_close(
        inside(corner, CORNER), inside(expected, CORNER), rtol=0, atol=TOLERANCE
    )
    assert not corner.is_inference()
    monkeypatch.setattr(GFPGANv1Clean, "forward", lambda _, faces: restored_face)
    torch.testing.assert_close(restorer(one_face), expected, rtol=0, atol=TOLERANCE)


def test_the_restorer_raises_rather_than_give_nan(
    checkpoint: str, one_face: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    restorer = load(RestoreConfig(checkpoint=checkpoint), REFERENCE)
    monkeypatch.setattr(GFPGANv1Clean, "forward", lambda _, faces: faces * float("nan"))
    with pytest.raises(CheckpointError, match="NaN or infinity in a restored face: GFPGAN"):
        restorer(one_face)


def test_openvino_in_float32_gives_the_same(
    network: GFPGANv1Clean, one_face: Tensor, restored_face: Tensor
) -> None:
    """In the window in which it restores a mouth."""
    window, example = USUAL["mouth"], torch.zeros(1, 3, 512, 512)
    model = openvino.convert(InWindow(network, window), (example,))
    (restored,) = Graph(model, (example,), REFERENCE, torch.float32)(one_face)
    torch.testing.assert_close(restored, inside(restored_face, window), rtol=0, atol=TOLERANCE)


@pytest.mark.skipif("BF16" not in plugins().get("CPU", ()), reason="no bf16 on this processor")
def test_openvino_in_bfloat16_differs_by_a_hundredth_of_the_contrast(
    network: GFPGANv1Clean, one_face: Tensor, restored_face: Tensor, tmp_path: Path
) -> None:
    """A mantissa of 8 bits rounds by up to 0.2 %, in each of some 30 layers one after the other."""
    example, kept = torch.zeros(1, 3, 512, 512), tmp_path / "model.xml"
    openvino.save(openvino.convert(network, (example,)), kept, halved=True)
    graph = Graph(kept, (example,), REFERENCE, torch.bfloat16)
    difference = (graph(one_face)[0] - restored_face).abs()
    contrast = restored_face.std()
    assert difference.mean() < 0.02 * contrast  # 0.012 is seen
    assert difference.max() < 0.25 * contrast  # 0.13 is seen, in one pixel
