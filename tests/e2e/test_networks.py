"""GFPGAN, full-size, from a weights file to a video, through the real command.

CodeFormer is in test_lipsync.py.

The weights are generated, so the mouths are noise. That the noise is on the mouth, and nowhere
else, shows that every step from file to video works.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from latentsync.media.reader import VideoReader
from tests.parity.rule import published_shapes, weights
from tests.support.media_factory import make_video, pts_of


def restored(tmp_path, demo_frames, run, *options):
    """Returns the change of one frame, and the outcome of the command."""
    video, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    checkpoint = tmp_path / "weights.pth"
    if not video.exists():
        make_video(video, demo_frames[:1])
        torch.save({"params_ema": weights(published_shapes("gfpgan_v14"))}, checkpoint)
    options = (
        *options,
        "restore.when=always",
        "restore.strength=1",
        f"restore.checkpoint={checkpoint}",
        "output.crf=4",
    )
    result = run("-i", video, "-o", target, "--superres", "gfpgan", *options)
    assert result.code == 0, result.err
    assert pts_of(target) == pts_of(video)
    changed = _change(video, target)
    assert changed[220:280, 130:230].mean() > 5
    assert changed[:190].mean() < 2
    report = json.loads((tmp_path / "out.report.json").read_text())
    assert report["restorer"]["checkpoint"] == str(checkpoint)
    assert len(report["restorer"]["sha256"]) == 64
    return changed, result.err


def test_a_full_size_gfpgan_restores_a_video_and_is_converted_once(
    tmp_path, demo_frames, run, monkeypatch
):
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path / "cache"))
    first, said = restored(tmp_path, demo_frames, run, "runtime.backend=openvino")
    assert "converting GFPGAN" in said
    assert "Apache-2.0" in said
    again, said = restored(tmp_path, demo_frames, run, "runtime.backend=openvino", "--overwrite")
    assert "converting" not in said
    assert "Apache-2.0" in said
    assert np.array_equal(again, first)


def _change(before: Path, after: Path) -> np.ndarray:
    pair = [next(iter(VideoReader(path))).pixels.astype(int) for path in (before, after)]
    return np.abs(pair[1] - pair[0]).max(axis=2)
