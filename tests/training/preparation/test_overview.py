"""The page shows some of many pictures, and a damaged one ends no run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from latentsync.training.preparation import overview
from latentsync.training.preparation.manifest import DROPPED, Row
from latentsync.training.preparation.overview import SHOWN, write_overview
from latentsync.training.preparation.splitting import Split
from latentsync.training.preparation.store import Store

COUNT = SHOWN + 20


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The first two pictures cannot be decoded."""
    made = Store(tmp_path, {})
    (made.clips / "v-key").mkdir(parents=True)
    _, jpeg = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))
    for number in range(COUNT):
        data = (b"", b"no picture")[number] if number < 2 else jpeg.tobytes()
        (made.clips / "v-key" / f"v-key_{number}.jpg").write_bytes(data)
    return made


def test_pictures_beyond_those_shown_are_not_decoded_and_damaged_ones_left_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = overview.cv2.imdecode
    monkeypatch.setattr(
        overview.cv2, "imdecode", lambda data, flags: decoded.append(1) or real(data, flags)
    )
    rows = [
        Row(f"v-key_{number}", "v.mp4", 0.0, 6.0, "sync", DROPPED, "apart")
        for number in range(COUNT)
    ]
    write_overview(rows, [], Split({}, {}, "looks"), store, tmp_path)
    page = (tmp_path / "overview.html").read_text("utf-8")
    assert page.count("<img") == SHOWN
    assert len(decoded) == SHOWN + 1  # the empty one is not tried
