"""Golden files: from the folder that GOLDEN_DIR names, or else from the one beside this file.

A test that takes `golden_file` runs once for each `<KIND>*.npz` there; KIND stands in its module.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def golden_files(kind: str) -> list[Path]:
    folder = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))
    return sorted(folder.glob(f"{kind}*.npz"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kind = getattr(metafunc.module, "KIND", None)
    if kind is not None and "golden_file" in metafunc.fixturenames:
        files = golden_files(kind)
        ids = [file.stem for file in files]
        metafunc.parametrize("golden_file", files, ids=ids, scope="module")
