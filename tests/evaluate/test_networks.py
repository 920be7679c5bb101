"""The networks of the judge, without their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentsync.evaluate import networks
from latentsync.models.s3fd import LEAST_SIDE, SCALE, prepared
from latentsync.runtime.execution import REFERENCE


def test_a_frame_too_small_for_s3fd_shows_no_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "build", lambda *given: None)
    boxes = networks._boxes(Path("sfd_face.pth"), REFERENCE)
    assert boxes(np.zeros((LEAST_SIDE - 1, 400, 3), np.uint8)).shape == (0, 5)
    assert prepared(np.zeros((LEAST_SIDE, 400, 3), np.uint8), SCALE).shape == (1, 3, 32, 100)
