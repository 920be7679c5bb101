"""A restorer of one's own is one file, and stands under the same rules as the built-in ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latentsync.media.reader import VideoReader
from tests.support.media_factory import make_video


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    return make_video(tmp_path / "in.mp4", demo_frames)


def _brightness(path: Path) -> int:
    return sum(int(frame.pixels.astype(int).sum()) for frame in VideoReader(path))


def test_a_restorer_of_one_s_own_is_one_file(video, tmp_path, run, monkeypatch):
    (tmp_path / "bright_mouth.py").write_text(
        "class Bright:\n"
        "    name = 'Bright'\n"
        "    size = None\n"
        "    def __call__(self, faces):\n"
        "        return (faces + 0.5).clamp(-1, 1)\n"
        "def load(config, device):\n"
        "    return Bright()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    target = tmp_path / "out.mp4"
    result = run(
        "-i", video, "-o", target, "--superres", "bright_mouth:load", "restore.when=always"
    )
    assert result.code == 0
    assert _brightness(target) > _brightness(video)


def test_a_restorer_that_is_too_crisp_is_held_back_unless_told_otherwise(
    video, tmp_path, run, monkeypatch
):
    (tmp_path / "crisp.py").write_text(
        "from torch.nn.functional import avg_pool2d\n"
        "class Crisp:\n"
        "    name = 'Crisp'\n"
        "    size = None\n"
        "    def __call__(self, faces):\n"
        "        return (4 * faces - 3 * avg_pool2d(faces, 5, 1, 2)).clamp(-1, 1)\n"
        "def load(config, device):\n"
        "    return Crisp()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    reports = []
    for strength in ("auto", "1"):
        target = tmp_path / f"{strength}.mp4"
        options = ("--superres", "crisp:load", "restore.when=always")
        assert run("-i", video, "-o", target, *options, f"restore.strength={strength}").code == 0
        reports.append(json.loads((tmp_path / f"{strength}.report.json").read_text()))
    auto, full = (report["strength"]["0"] for report in reports)
    assert 0.05 < auto < 0.8 and full == 1.0
    held, crisp = (np.mean(report["per_frame"]["mean_change"]) for report in reports)
    assert 0 < held < 0.9 * crisp
    lips = [report["track_blur"]["0"]["restored"] for report in reports]
    assert lips[0] > lips[1]


def test_a_restorer_that_fails_is_an_error_and_leaves_no_video(video, tmp_path, run, monkeypatch):
    (tmp_path / "failing.py").write_text(
        "class Failing:\n"
        "    name = 'Failing'\n"
        "    size = 512\n"
        "    def __call__(self, faces):\n"
        "        raise RuntimeError('out of order')\n"
        "def load(config, device):\n"
        "    return Failing()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ("-i", video, "-o", tmp_path / "out.mp4", "--superres", "failing:load")
    with pytest.raises(RuntimeError, match="out of order"):
        run(*arguments, "restore.when=always")
    assert not list(tmp_path.glob("*out.mp4*"))
