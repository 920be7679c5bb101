"""A job says how good its result is, and so does the command that looks at the file afterwards."""

from __future__ import annotations

import json

from tests.support.media_factory import Tone, make_video


def test_a_job_writes_its_evaluation_page_and_verdict(tmp_path, demo_frames, run) -> None:
    source = make_video(tmp_path / "in.mp4", demo_frames, audio=[Tone(0.5)])
    target = tmp_path / "out.mp4"
    words = ("-i", source, "-o", target, "restore.when=always")
    assert run(*words, "--html").code == 2  # without --evaluate
    done = run(*words, "--evaluate", "--html")
    assert done.code == 0
    found = json.loads((tmp_path / "out.evaluation.json").read_text("utf-8"))
    report = json.loads((tmp_path / "out.report.json").read_text("utf-8"))
    assert found["figures"]["outside_equal"]["value"] == 100
    assert found["frames"]["total"] == len(demo_frames)
    assert found["source"]["path"] == str(source)
    assert report["evaluation"]["file"] == "out.evaluation.json"
    assert report["evaluation"]["verdict"] == found["verdict"]
    assert report["stages"]["evaluate"]["frames"] == found["frames"]["measured"]
    assert "<img" in (tmp_path / "out.evaluation.html").read_text("utf-8")
    (tmp_path / "out.evaluation.json").write_text("something else", "utf-8")
    refused = run(*words, "--evaluate", "--overwrite")
    assert refused.code == 2 and "out.evaluation.json" in refused.err


def test_several_videos_get_a_page_of_all(tmp_path, demo_frames, run) -> None:
    names = [make_video(tmp_path / f"{n}.mp4", demo_frames[:3]) for n in "ab"]
    folder = tmp_path / "out"
    assert run("-i", *names, "-o", f"{folder}/", "--evaluate", "--html").code == 0
    index = (folder / "evaluations.html").read_text("utf-8")
    assert "a.evaluation.html" in index and "b.evaluation.html" in index
