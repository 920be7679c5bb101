"""How a session ends: cancelled, refused or failed, and which files and threads are left."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from latentsync import Session, load_config
from latentsync.errors import Cancelled, CheckpointError, ConfigError, MediaError
from latentsync.media.reader import VideoReader
from tests.support.media_factory import Tone, make_video
from tests.support.sessions import (
    ASSETS,
    COMMON,
    FRAMES,
    SOFT,
    engine,
    sharp_video,
    tone_as_speech,
)

REPLACED = "output.overwrite=true"


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return sharp_video(tmp_path_factory.mktemp("session"))


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    return tone_as_speech(tmp_path_factory.mktemp("speech"))


def test_a_cancelled_session_stops_within_a_frame_and_leaves_nothing(video, tmp_path):
    target = tmp_path / "out.mp4"
    session = Session(engine("restore.when=always"), video)
    steps = 0

    class StubProgress:
        def __enter__(self):
            def step() -> None:
                nonlocal steps
                steps += 1
                if steps == FRAMES + 5:  # in the second pass
                    session.cancel()

            return step

        def __exit__(self, *_):
            return None

    with session, pytest.raises(Cancelled):
        session.render(target, lambda _title, _total: StubProgress())
    assert steps < 2 * FRAMES
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_becomes_shorter_is_refused_and_leaves_nothing(video, tmp_path):
    changing = tmp_path / "changing.mp4"
    changing.write_bytes(video.read_bytes())
    target = tmp_path / "out.mp4"
    target.write_bytes(b"an earlier result")
    with Session(engine("restore.when=always", REPLACED), changing) as session:
        session.analyze()
        frames = [frame.pixels for frame in VideoReader(video, stop=FRAMES // 2)]
        make_video(changing, frames, audio=[Tone(0.8)])
        with pytest.raises(MediaError, match="frame"):
            session.render(target)
    assert target.read_bytes() == b"an earlier result"
    assert {path.name for path in tmp_path.iterdir()} == {"changing.mp4", "out.mp4"}


def test_a_session_s_timings_are_its_own(video):
    made = engine("restore.when=always")
    for _ in range(2):
        with Session(made, video) as session:
            session.analyze()
            assert session.timer.work["detect"].frames == FRAMES


def test_no_other_file_is_replaced_by_a_report(video, tmp_path):
    transcript = tmp_path / "out.report.json"
    transcript.write_text('{"text": "mine"}')
    made = engine("restore.when=always", "output.preset=ultrafast", REPLACED)
    with Session(made, video) as session:
        with pytest.raises(ConfigError, match=r"out\.report\.json"):
            session.render(tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()
        session.render(tmp_path / "other.mp4")
        session.render(tmp_path / "other.mp4")
    assert transcript.read_text() == '{"text": "mine"}'


def test_two_renders_to_one_place_leave_one_whole_file(video, tmp_path):
    made = engine("restore.when=always", "output.preset=ultrafast", REPLACED)
    target, results = tmp_path / "out.mp4", []
    start = threading.Barrier(2)

    def work() -> None:
        with Session(made, video) as session:
            session.analyze()
            start.wait()
            results.append(session.render(target)["frames"]["total"])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [FRAMES, FRAMES]
    assert len(list(VideoReader(target))) == FRAMES
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "out.report.json"}


@pytest.mark.parametrize("kind", ["nan", "small", "few"])
def test_an_invalid_mouth_is_never_shown(kind, video, speech, tmp_path):
    made = engine(f"generate.name=tests.support.soft_mouths:load_{kind}")
    with Session(made, video, audio=speech) as session, pytest.raises(CheckpointError) as caught:
        session.render(tmp_path / "out.mp4")
    assert "soft mouths" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_restorer_s_nan_is_never_shown(video, tmp_path):
    made = engine("restore.when=always", "restore.name=tests.support.nan_restorer:load")
    with Session(made, video) as session, pytest.raises(CheckpointError, match="a nan restorer"):
        session.render(tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_of_something_else_is_refused(video, speech, tmp_path):
    made = engine(SOFT)
    with Session(made, video) as session:
        plan = session.plan
    with pytest.raises(ConfigError, match="made without new speech, used with"):
        Session(made, video, audio=speech, plan=plan)
    with pytest.raises(ConfigError, match="pixels"):
        Session(made, ASSETS / "demo_talking.mp4", plan=plan)
    other = make_video(tmp_path / "short.mp4", [f.pixels for f in VideoReader(video, stop=9)])
    with pytest.raises(ConfigError, match=f"{FRAMES} frames"):
        Session(made, other, plan=plan)


def test_settings_that_need_other_models_are_refused(video):
    made = engine("restore.when=always")
    for setting in ("restore.name=Self", "runtime.threads=1", "generate.steps=3"):
        with pytest.raises(ConfigError, match="make another one"):
            Session(made, video, config=load_config(None, [*COMMON, setting]))
    config = load_config(None, [*COMMON, "restore.when=never"])
    with Session(made, video, config=config) as session:
        assert session.lanes[0].restorers is None


def test_a_second_report_counts_its_own_work(video, tmp_path):
    settings = ("restore.when=always", "output.preset=ultrafast", "output.copy_unchanged=false")
    with Session(engine(*settings), video) as session:
        reports = [session.render(tmp_path / f"{number}.mp4") for number in range(2)]
    assert [report["stages"]["encode"]["frames"] for report in reports] == [FRAMES, FRAMES]
    assert "detect" in reports[0]["stages"]
    assert "detect" not in reports[1]["stages"]


def running() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.is_alive()}


def test_closing_ends_the_threads_of_what_was_left_half_way(video):
    before = running()
    with Session(engine("restore.when=always"), video) as session:
        frames = session.frames()
        next(frames)
        assert running() > before
    assert running() <= before
    with pytest.raises(Cancelled, match="is closed"):
        list(frames)


def test_a_failure_leaves_no_thread_behind_even_before_the_collector_comes(video):
    made = engine("restore.when=always", "restore.name=tests.support.nan_restorer:load")
    before = running()
    gc.disable()
    try:
        with Session(made, video) as session, pytest.raises(CheckpointError):
            list(session.frames())
        assert running() <= before
    finally:
        gc.enable()


@pytest.mark.parametrize(("kind", "said"), [("load_sharp", True), ("load", False)])
def test_a_restoration_without_effect_is_reported(kind, said, video, speech, tmp_path):
    settings = (f"generate.name=tests.support.soft_mouths:{kind}", "restore.when=always")
    with Session(engine(*settings, "output.preset=ultrafast"), video, audio=speech) as session:
        report = session.render(tmp_path / "out.mp4")
    assert (report["frames"]["restored"] == 0) == said
    assert any("changed no pixel" in warning for warning in report["warnings"]) == said
