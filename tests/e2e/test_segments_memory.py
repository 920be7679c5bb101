"""Memory does not grow with the number of segments."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.sidedata.sidedata import SideDataContainer

from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import checked
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of
from latentsync.pipeline.segments.render import InSegments
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.types import Frame, Patch, PatchedFrame
from tests.support.media_factory import make_video

HOLD_FRAMES = av.VideoFrame, SideDataContainer, Frame, PatchedFrame, Patch, np.ndarray, torch.Tensor


def unreachable() -> list[object]:
    """What only reference cycles keep."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return list(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.fixture
def by_hand() -> Iterator[None]:
    """Reference cycles stay until they are looked for."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("by_hand")
def test_a_segment_leaves_no_reference_cycle_and_no_thread(tmp_path: Path, demo_frames) -> None:
    """A cycle would hold frames, 3 MB each at 1080p, until Python looks for it."""
    video, target = make_video(tmp_path / "in.mp4", demo_frames), tmp_path / "out.mp4"
    files = {"input.video": str(video), "output.path": str(target)}
    job = checked(load_config(None, ["restore.when=always"], flags=files))
    folder = SegmentFolder(folder_of(target), {})
    write = InSegments(folder, seconds=0.2)
    with Session(Engine(job.config), job.source, config=job.config) as session:
        plan = session.make_plan()
        assert len(write.begin(session, plan, [])) > 1
        write.make(session, job.output, plan, 0)
        gc.collect()  # what the first one loads
        threads = threading.active_count()
        write.make(session, job.output, plan, 1)
        assert not [one for one in unreachable() if isinstance(one, HOLD_FRAMES)]
        assert threading.active_count() == threads
