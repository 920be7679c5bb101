"""Golden files: from the folder that GOLDEN_DIR names, or else from the one beside this file.

A test that takes `golden_file` runs once for each `<KIND>*.npz` there; KIND stands in its module.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from GFPGAN.network import GFPGANv1Clean
from tests.parity.rule import face, published_shapes, weights


def golden_files(kind: str) -> list[Path]:
    folder = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))
    return sorted(folder.glob(f"{kind}*.npz"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kind = getattr(metafunc.module, "KIND", None)
    if kind is not None and "golden_file" in metafunc.fixturenames:
        files = golden_files(kind)
        ids = [file.stem for file in files]
        metafunc.parametrize("golden_file", files, ids=ids, scope="module")


@pytest.fixture(scope="package")
def gfpgan() -> GFPGANv1Clean:
    """Full-size: to make its weights takes seconds. Two files share it, see GROUPS of the tests."""
    with torch.device("meta"):
        network = GFPGANv1Clean()
    network.load_state_dict(weights(published_shapes("gfpgan_v14")), assign=True)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="package")
def one_face() -> Tensor:
    return face("restorer.face")


@pytest.fixture(scope="package")
def restored_face(gfpgan: GFPGANv1Clean, one_face: Tensor) -> Tensor:
    with torch.inference_mode():
        return gfpgan(one_face)
