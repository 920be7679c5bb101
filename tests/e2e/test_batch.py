"""Several videos in one command: all names are checked first, and each comes out as if alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latentsync.media.reader import VideoReader
from latentsync.pipeline.session import Session
from tests.support.media_factory import Tone, make_audio, make_video, moving_pattern, pts_of

FAST = ("restore.when=always", "output.preset=ultrafast", "face.occlusion=off")


@pytest.fixture
def videos(tmp_path, demo_frames) -> list[Path]:
    """Three short ones: .mp4, .mov, and .ts, which is no kind of output."""
    frames = demo_frames[:4]
    return [
        make_video(tmp_path / "a.b.mp4", frames, audio=[Tone(0.2)]),
        make_video(tmp_path / "c.mov", frames[::-1]),
        make_video(tmp_path / "d.ts", frames),
    ]


@pytest.fixture
def broken(tmp_path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video\n" * 99)
    return path


@pytest.fixture
def faceless(tmp_path) -> Path:
    return make_video(tmp_path / "faceless.mp4", moving_pattern(160, 120, 4))


def _pixels(path: Path) -> np.ndarray:
    return np.stack([frame.pixels for frame in VideoReader(path)])


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_comes_out_as_if_alone(videos, tmp_path, run):
    folder, alone = tmp_path / "new" / "o", tmp_path / "alone"
    result = run("--input", *videos, *FAST, "--output", f"{folder}/")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1] == "3 of 3 videos done"
    results = ["a.b.mp4", "c.mov", "d.mp4"]
    assert [name for name in _names(folder) if not name.endswith(".json")] == results
    for video, name in zip(videos, results, strict=True):
        assert run("--input", video, "--output", alone / name, *FAST).code == 0
        assert np.array_equal(_pixels(folder / name), _pixels(alone / name))
        assert pts_of(folder / name) == pts_of(alone / name)
        report = json.loads((folder / name).with_suffix(".report.json").read_text())
        assert report["settings"]["input"]["video"] == str(video)


def test_a_folder_that_is_there_needs_no_slash_and_one_video_with_a_slash_goes_in(
    videos, tmp_path, run
):
    (tmp_path / "o").mkdir()
    assert run("-i", *videos[:2], "-o", tmp_path / "o", *FAST, "output.report=false").code == 0
    assert run("-i", videos[2], "-o", f"{tmp_path}/o/", *FAST, "output.report=false").code == 0
    assert _names(tmp_path / "o") == ["a.b.mp4", "c.mov", "d.mp4"]


def test_the_models_are_loaded_once_and_progress_names_the_video(
    videos, tmp_path, run, monkeypatch
):
    from latentsync.pipeline import engine

    loaded, load = [], engine.load_restorer
    monkeypatch.setattr(engine, "load_restorer", lambda *a, **k: loaded.append(a) or load(*a, **k))
    result = run("-i", *videos, "-o", f"{tmp_path}/o/", *FAST)
    assert len(loaded) == 1
    assert "2/3 c.mov: detecting faces: done, 4 frames" in result.err


@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["", "quiet"])
def test_one_that_fails_gets_a_line_and_the_others_are_done(
    quiet, videos, broken, faceless, tmp_path, run
):
    given = [broken, videos[0], faceless, videos[1]]
    result = run("-i", *given, "-o", f"{tmp_path}/o/", *FAST, "output.report=false", *quiet)
    assert result.code == 2
    assert result.out.splitlines()[-1] == "2 of 4 videos done"
    errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert errors[0].startswith("error: 1/4 broken.mp4: not a video")
    assert errors[1].startswith("error: 3/4 faceless.mp4: no face found")
    assert _names(tmp_path / "o") == ["a.b.mp4", "c.mov"]


def test_where_none_can_be_opened_none_is_done(broken, tmp_path, run):
    other = tmp_path / "other.mp4"
    other.write_bytes(b"")
    result = run("-i", broken, other, "-o", f"{tmp_path}/o/", *FAST)
    assert (result.code, result.out) == (2, "0 of 2 videos done\n")
    assert not (tmp_path / "o").exists()


REFUSED = {
    "a video that is not there": (lambda p, v: ([*v, p / "gone.mp4"], f"{p}/o/"), "gone.mp4"),
    "a folder with one of the videos": (lambda p, v: ([*v, p], f"{p}/o/"), "same output name"),
    "no folder": (lambda p, v: (v, p / "out.mp4"), "need a folder"),
    "twice the same": (lambda p, v: ([v[0], v[0]], f"{p}/o/"), "same output name"),
    "the same name elsewhere": (lambda p, v: ([v[0], _copy(p, "A.B.MOV", v)], f"{p}/o/"), "same"),
    "an output is there": (lambda p, v: (v, f"{_there(p, 'c.mov')}/"), "--overwrite"),
    "the output is the input": (lambda p, v: (v, f"{p}/"), "the output is the input"),
    "a report that is none": (lambda p, v: (v, f"{_there(p, 'd.report.json')}/"), "d.report.json"),
}


def _copy(folder: Path, name: str, videos: list[Path]) -> Path:
    path = folder / "elsewhere" / name
    path.parent.mkdir()
    path.write_bytes(videos[0].read_bytes())
    return path


def _there(folder: Path, name: str) -> Path:
    path = folder / "o" / name
    path.parent.mkdir()
    path.write_bytes(b"dear to me")
    return path.parent


@pytest.mark.parametrize("kind", REFUSED)
def test_an_invalid_name_is_reported_before_any_work(kind, videos, tmp_path, run):
    make, said = REFUSED[kind]
    given, output = make(tmp_path, videos)
    before = sorted(tmp_path.rglob("*"))
    result = run("-i", *given, "-o", output, *FAST)
    (line,) = result.err.strip().splitlines()
    assert (result.code, result.out) == (2, "")
    assert line.startswith("error: ") and said in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_comparison_may_not_get_another_video_s_name(videos, tmp_path, run):
    beside = _copy(tmp_path, "c_compare.mov", videos)
    given = ("-i", *videos, beside, "-o", f"{tmp_path}/o/", *FAST)
    assert "same output name" in run(*given, "--compare").err
    assert run(*given, "output.report=false").code == 0


def test_what_is_there_is_replaced_on_request(videos, tmp_path, run):
    folder = _there(tmp_path, "c.mov")
    assert run("-i", *videos, "-o", folder, *FAST, "--overwrite").code == 0
    assert len(pts_of(folder / "c.mov")) == 4


def test_after_ctrl_c_what_is_finished_stays_and_the_rest_is_not_begun(
    videos, tmp_path, run, monkeypatch
):
    render, rendered = Session.render, []

    def interrupted(self, target, progress, **options):
        rendered.append(target)
        if len(rendered) == 2:
            raise KeyboardInterrupt
        return render(self, target, progress, **options)

    monkeypatch.setattr(Session, "render", interrupted)
    result = run("-i", *videos, "-o", f"{tmp_path}/o/", *FAST, "output.report=false")
    assert result.code == 130
    assert result.err.splitlines()[-1] == "interrupted; 1 of 3 videos done"
    assert len(rendered) == 2
    assert _names(tmp_path / "o") == ["a.b.mp4"]


def test_a_command_that_failed_in_part_is_continued_with_what_is_missing(
    videos, broken, tmp_path, run
):
    line = ("-i", videos[0], broken, videos[1], "-o", f"{tmp_path}/o/", *FAST)
    assert run(*line).code == 2
    first = (tmp_path / "o" / "a.b.mp4").stat().st_mtime_ns
    broken.write_bytes(videos[0].read_bytes())
    again = run(*line, "--skip-existing")
    assert (again.code, again.out.splitlines()[-1]) == (0, "1 of 1 videos done, 2 skipped")
    assert (tmp_path / "o" / "a.b.mp4").stat().st_mtime_ns == first
    assert run(*line, "--skip-existing").out == "0 of 0 videos done, 3 skipped\n"


def test_the_same_speech_is_for_each(videos, tmp_path, run):
    speech = make_audio(tmp_path / "speech.wav", Tone(0.4, codec="pcm_s16le", rate=16000))
    soft = ("--generator", "tests.support.soft_mouths:load", "data.resolution=256")
    soft += ("generate.silence=model",)  # the speech is a tone
    files = ("-i", *videos[:2], "--audio_path", speech, "-o", f"{tmp_path}/o/")
    result = run(*files, *soft, *FAST, "--quiet")
    assert result.code == 0, result.err
    for line in result.out.splitlines()[:-1]:
        assert ": 10 frames generated, 10 of 10 frames restored; the mouth was " in line
        assert " softer than the person's own, now " in line


def test_previews_and_a_dry_run_are_of_each(videos, faceless, tmp_path, run):
    files = ("-i", *videos[:2], "-o", f"{tmp_path}/o/", *FAST)
    dry = run(*files, "--dry-run")
    assert dry.code == 0, dry.err
    assert [line for line in dry.out.splitlines() if "/2" in line] == ["1/2 a.b.mp4", "2/2 c.mov"]
    assert dry.out.count("time     ") == 2
    assert not (tmp_path / "o").exists()
    shown = run("-i", videos[0], faceless, videos[1], *files[3:], "--preview", "2")
    assert (shown.code, shown.out.splitlines()[-1]) == (2, "2 of 3 videos done")
    assert _names(tmp_path / "o") == ["a.b_preview", "c_preview"]
    assert len(list((tmp_path / "o").rglob("*.png"))) == 4
