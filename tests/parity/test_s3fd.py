"""S3FD finds the boxes that the original does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.models.s3fd import S3fd, detect, detections, prepared
from latentsync.runtime import openvino
from latentsync.runtime.execution import REFERENCE
from tests.parity.filled import filled
from tests.parity.rule import published_shapes

KIND = "s3fd"
SCALE = 0.25
SCORE, SHARE, PIXELS = 1e-5, 1e-4, 0.05  # 3e-7, 1e-7 and 3e-5 are seen


@pytest.fixture(scope="module")
def network() -> S3fd:
    with torch.device("meta"):
        network = S3fd()
    return filled(network)


@pytest.fixture
def golden(golden_file: Path) -> Iterator[np.lib.npyio.NpzFile]:
    with np.load(golden_file) as file:
        yield file


def image_of(golden: np.lib.npyio.NpzFile) -> np.ndarray:
    return golden["image_blocks8"].repeat(8, axis=0).repeat(8, axis=1)


def test_the_network_has_the_published_keys_in_their_order() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in S3fd().state_dict().items()}
    assert list(shapes.items()) == list(published_shapes("s3fd").items())


def test_the_network_s_input_is_the_original_s(golden: np.lib.npyio.NpzFile) -> None:
    computed = prepared(image_of(golden), SCALE)[0].numpy()
    np.testing.assert_allclose(computed, golden["network_input"], rtol=0, atol=1e-3)


def test_the_network_s_detections_are_the_original_s(
    network: S3fd, golden: np.lib.npyio.NpzFile
) -> None:
    inputs = torch.from_numpy(golden["network_input"])[None]
    with torch.no_grad():
        found = detections(network(inputs), *inputs.shape[2:])
    compare_detections(found, golden)


def test_openvino_s_detections_are_the_original_s(
    network: S3fd, golden: np.lib.npyio.NpzFile
) -> None:
    inputs = torch.from_numpy(golden["network_input"])[None]
    execution = replace(REFERENCE, backend="openvino", threads=1)
    model = openvino.convert(network, [inputs])
    graph = openvino.Graph(model, [inputs], execution, torch.float32)
    compare_detections(detections(graph(inputs), *inputs.shape[2:]), golden)


def compare_detections(found: np.ndarray, golden: np.lib.npyio.NpzFile) -> None:
    wanted = golden["detections"]
    assert len(found) == golden["num_detections"]
    assert (np.diff(found[:, 0]) <= 0).all()
    nearest = np.abs(found[:, None, 1:] - wanted[:, 1:]).max(axis=2).argmin(axis=0)
    found = found[nearest]  # rounding may swap two equally good ones
    np.testing.assert_allclose(found[:, 0], wanted[:, 0], rtol=0, atol=SCORE)
    np.testing.assert_allclose(found[:, 1:], wanted[:, 1:], rtol=0, atol=SHARE)


def test_the_faces_of_an_image_are_the_original_s(
    network: S3fd, golden: np.lib.npyio.NpzFile
) -> None:
    threshold = float(golden["conf_th"])
    found = detect(network, image_of(golden), scale=SCALE, threshold=threshold)
    assert found.shape == golden["boxes"].shape
    np.testing.assert_allclose(found, golden["boxes"], rtol=0, atol=PIXELS)
