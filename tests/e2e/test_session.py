"""One engine, many sessions: the same frames whole or in parts, in any batches, from any thread."""

from __future__ import annotations

import functools
import gc
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from latentsync import Engine, Session, load_config
from latentsync.errors import Cancelled, CheckpointError, ConfigError, MediaError
from latentsync.media.reader import VideoReader
from latentsync.pipeline.planning.plan_file import load_plan, save_plan
from tests.support.media_factory import Tone, make_audio, make_video

ASSETS = Path(__file__).parents[2] / "assets"
SOFT, LATE = (
    "generate.name=tests.support.soft_mouths:load",
    "generate.name=tests.support.soft_mouths:load_late",
)
FRAMES = 24
MANY = 1000
COMMON = ("data.resolution=256", "generate.silence=model")  # the speech is a tone
REPLACED = "output.overwrite=true"


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """A person who talks, sharp, 1 s."""
    reader = VideoReader(ASSETS / "demo_talking.mp4", start=20, stop=20 + FRAMES)
    frames = [np.ascontiguousarray(frame.pixels[90:430, 140:500]) for frame in reader]
    folder = tmp_path_factory.mktemp("session")
    return make_video(folder / "video.mp4", frames, options={"crf": "8"}, audio=[Tone(1.0)])


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    return make_audio(folder / "speech.wav", Tone(1.6, codec="pcm_s16le", rate=16000))


def engine(*settings: str) -> Engine:
    return Engine(load_config(None, [*COMMON, *settings]))


def rendered(made: Engine, video: Path, speech: Path | None, *parts: int) -> list[np.ndarray]:
    """The frames, rendered at once or in parts that end at those frames."""
    with Session(made, video, audio=speech) as session:
        borders = [0, *parts, MANY]
        return [
            frame.pixels
            for start, stop in itertools.pairwise(borders)
            for frame in session.frames(start, stop)
        ]


@pytest.fixture(scope="module")
def whole(video, speech):
    """Renders all frames of the video, once for the same settings. speaks: with new speech."""

    @functools.cache
    def render(*settings: str, speaks: bool = True) -> list[np.ndarray]:
        return rendered(engine(*settings), video, speech if speaks else None)

    return render


def equal(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize("generator", [SOFT, LATE], ids=["soft", "soft after six frames"])
def test_the_batch_decides_nothing_and_the_report_counts_what_changed(
    generator, video, speech, whole, tmp_path
):
    plain = whole(generator, "restore.name=none")
    made = engine(generator, "restore.batch=4", "output.preset=ultrafast")
    frames = rendered(made, video, speech)
    assert equal(frames, whole(generator, "restore.batch=1"))
    assert equal(frames, whole(generator, "restore.batch=16"))
    changed = sum(not np.array_equal(a, b) for a, b in zip(plain, frames, strict=True))
    assert changed > 20, "otherwise nothing was restored, and nothing is proven"
    with Session(made, video, audio=speech) as session:
        report = session.render(tmp_path / "out.mp4")
    assert report["frames"]["restored"] == changed
    assert sum(change > 0 for change in report["per_frame"]["change"]) == changed


@pytest.mark.parametrize(
    "settings",
    [(SOFT,), (LATE, "output.length=loop"), (SOFT, "restore.name=Self"), ("restore.when=always",)],
    ids=["Detail", "Detail, looped", "Self", "Detail, no speech"],
)
def test_any_parts_joined_are_the_whole(settings, video, speech, whole):
    speaks = settings[0].startswith("generate")
    parts = rendered(engine(*settings), video, speech if speaks else None, 3, 16, 21, 22, 32)
    assert equal(parts, whole(*settings, speaks=speaks))


@pytest.mark.parametrize("others", [(), ("restore.reuse=4",)], ids=["every mouth", "reuse"])
def test_codes_that_are_kept_over_time_are_kept_alike_in_parts_and_any_batch(others, video, whole):
    settings = ("restore.name=tests.support.coded_mouths:load", "restore.when=always", *others)
    kept = whole(*settings, speaks=False)
    parts = rendered(engine(*settings, "restore.batch=7"), video, None, 3, 21, 22)
    assert equal(kept, parts)
    by_frame = whole(*settings, "restore.code_margin=0", speaks=False)
    assert not equal(kept[1:], by_frame[1:]), "otherwise no code was kept, and nothing is proven"
    assert np.array_equal(kept[0], by_frame[0])


def test_a_preview_shows_what_the_run_does(video, speech, whole):
    with Session(engine(SOFT), video, audio=speech) as session:
        shown = session.preview([30, 5])
        assert [one.index for one in shown] == [30, 5]
        assert all(np.array_equal(one.after.pixels, whole(SOFT)[one.index]) for one in shown)
        assert all((one.after.pixels != one.before.pixels).any() for one in shown)
        with pytest.raises(ConfigError, match="0 to 39"):
            session.preview([40])


def test_a_plan_renders_the_same_in_another_session(video, speech, whole, tmp_path):
    made = engine(SOFT, "restore.name=Self")
    with Session(made, video, audio=speech) as session:
        save_plan(session.plan, tmp_path / "plan")
    plan = load_plan(tmp_path / "plan")
    with Session(engine(SOFT, "restore.name=Self"), video, audio=speech, plan=plan) as session:
        again = [frame.pixels for frame in session.frames()]
    assert equal(again, whole(SOFT, "restore.name=Self"))


def test_sessions_in_threads_are_as_one_after_the_other(video, speech, whole):
    made = engine(SOFT)
    jobs = [(video, speech), (video, None)] * 2
    alone = [whole(SOFT), whole(SOFT, speaks=False)] * 2
    together: list[list[np.ndarray]] = [[] for _ in jobs]
    start = threading.Barrier(len(jobs))

    def work(place: int) -> None:
        start.wait()
        together[place] = rendered(made, *jobs[place])

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(one, other) for one, other in zip(alone, together, strict=True))


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
    with pytest.raises(ConfigError, match="24 frames"):
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
