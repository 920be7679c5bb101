"""A job that asks for it is judged, and what is judged lies beside its result."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from latentsync.evaluate.files import is_evaluation, is_page
from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.rows import DONE
from latentsync.jobs.worker import Worker
from latentsync.media.reader import VideoReader
from latentsync.settings.load import load_config
from tests.support.media_factory import make_video
from tests.support.sessions import ASSETS

FRAMES = 8
SETTINGS = ("output.evaluate=true", "face.occlusion=off", "weights.offline=true")


def test_a_job_is_judged_and_says_so_in_its_report(tmp_path: Path) -> None:
    frames = [frame.pixels for frame in VideoReader(ASSETS / "demo_lipsynced.mp4", stop=FRAMES)]
    flags = {
        "input.video": str(make_video(tmp_path / "video.mp4", frames)),
        "output.path": str(tmp_path / "out.mp4"),
    }
    files = JobFiles(tmp_path / "state")
    store = open_store(files)
    config = dataclasses.asdict(load_config(None, SETTINGS, flags=flags))
    files.write(store.add("a", "a", flags["output.path"], config))
    Worker(files, "one").run()
    assert (store.job("a").state, store.job("a").note) == (DONE, None)
    assert [one["kind"] for one in store.attempts("a")] == ["plan", "segment", "join", "judge"]
    assert is_evaluation(tmp_path / "out.evaluation.json")
    assert is_page(tmp_path / "out.evaluation.html")
    report = json.loads((tmp_path / "out.report.json").read_text())
    assert report["evaluation"]["file"] == "out.evaluation.json"
    names = {path.name for path in tmp_path.iterdir() if path.name.startswith("out")}
    assert "out.mp4.part" not in names and len(names) == 4
