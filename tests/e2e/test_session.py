"""One engine, many sessions: the same frames whole or in parts, in any batches, from any thread."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from latentsync import Engine, Session
from latentsync.errors import ConfigError
from latentsync.pipeline.planning.plan_file import load_plan, save_plan
from tests.support.sessions import SOFT, engine, sharp_video, tone_as_speech

LATE = "generate.name=tests.support.soft_mouths:load_late"
MANY = 1000


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return sharp_video(tmp_path_factory.mktemp("session"))


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    return tone_as_speech(tmp_path_factory.mktemp("speech"))


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
    made = engine(generator, "restore.batch=7", "output.preset=ultrafast")
    frames = rendered(made, video, speech)
    assert equal(frames, whole(generator, "restore.batch=1"))
    changed = sum(not np.array_equal(a, b) for a, b in zip(plain, frames, strict=True))
    assert changed > 15, "otherwise nothing was restored, and nothing is proven"
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
    parts = rendered(engine(*settings), video, speech if speaks else None, 3, 13, 14, 16, 22)
    assert equal(parts, whole(*settings, speaks=speaks))


@pytest.mark.parametrize("others", [(), ("restore.reuse=4",)], ids=["every mouth", "reuse"])
def test_codes_that_are_kept_over_time_are_kept_alike_in_parts_and_any_batch(others, video, whole):
    settings = ("restore.name=tests.support.coded_mouths:load", "restore.when=always", *others)
    kept = whole(*settings, speaks=False)
    parts = rendered(engine(*settings, "restore.batch=7"), video, None, 3, 13, 14)
    assert equal(kept, parts)
    by_frame = whole(*settings, "restore.code_margin=0", speaks=False)
    assert not equal(kept[1:], by_frame[1:]), "otherwise no code was kept, and nothing is proven"
    assert np.array_equal(kept[0], by_frame[0])


def test_a_preview_shows_what_the_run_does(video, speech, whole):
    with Session(engine(SOFT), video, audio=speech) as session:
        shown = session.preview([25, 5])
        assert [one.index for one in shown] == [25, 5]
        assert all(np.array_equal(one.after.pixels, whole(SOFT)[one.index]) for one in shown)
        assert all((one.after.pixels != one.before.pixels).any() for one in shown)
        with pytest.raises(ConfigError, match="0 to 29"):
            session.preview([30])


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
