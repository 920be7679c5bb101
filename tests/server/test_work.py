"""Requests of the engine's process, answered in this one: what they give, what they wait for."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from latentsync.errors import Cancelled, ConfigError, MediaError
from latentsync.jobs.engines import Engines
from latentsync.media.reader import VideoReader
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.server.errors import ApiError
from latentsync.server.work.asked import Answering, Asked, as_sent
from latentsync.server.work.estimates import estimate_of_request
from latentsync.server.work.fetches import fetch_of_request, proxy_of_request
from latentsync.server.work.here import Analyses, Here
from latentsync.server.work.messages import Answer, Reached, Request
from latentsync.server.work.people import people_of_request
from latentsync.server.work.previews import preview_of_request
from latentsync.server.work.turn import Turn
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.types import Chunk
from tests.support.media_factory import Tone, make_video, moving_pattern
from tests.support.sessions import ASSETS, COMMON, SOFT, tone_as_speech
from tests.support.soft_mouths import SoftMouths

FRAMES = 12


def config(video: Path, *settings: str) -> Config:
    flags = {"input.video": str(video), "output.path": str(video.with_name("out.mp4"))}
    quick = ("face.occlusion=off", "restore.when=always", "weights.offline=true", *settings)
    return load_config(None, quick, flags=flags)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person who talks, with a soft mouth, half a second."""
    frames = [frame.pixels for frame in VideoReader(ASSETS / "demo_lipsynced.mp4", stop=FRAMES)]
    folder = tmp_path_factory.mktemp("work")
    return make_video(folder / "video.mp4", frames, options={"crf": "8"}, audio=[Tone(0.5)])


@pytest.fixture(scope="module")
def here() -> Here:
    return Here(offline=True)


def asked(folder: Path, said: list[Any] | None = None, **arguments: Any) -> Asked:
    if isinstance(arguments.get("config"), Config):
        arguments["config"] = dataclasses.asdict(arguments["config"])
    said = [] if said is None else said
    return Asked(Request(1, "", arguments, folder), said.append, lambda: None)


def pixels(path: Path) -> np.ndarray:
    return cv2.imread(str(path))


def test_the_people_of_a_video_have_portraits_and_are_named_by_number(
    video: Path, here: Here, tmp_path: Path
) -> None:
    said: list[Reached] = []
    (person,) = people_of_request(asked(tmp_path, said, config=config(video)), here)["people"]
    assert (person["speaker"], person["share"]) == ("1", 1.0)
    assert pixels(tmp_path / person["portrait"]).shape == (112, 112, 3)
    assert person["speaks"] is not None  # it has audio
    assert [one.share for one in said] == sorted(one.share for one in said)
    assert said[0].stage == "detecting faces"


def test_a_preview_shows_one_moment_with_each_restorer_and_looks_at_a_video_once(
    video: Path, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"config": config(video), "seconds": 0.2}
    preview_of_request(asked(tmp_path / "first", **given, restorers=["Detail"]), here)
    monkeypatch.setattr("latentsync.pipeline.observation.Analyzer.__call__", _no_second_time)
    names = ["none", "Detail", "GFPGAN", "Self"]
    shown = preview_of_request(asked(tmp_path, **given, restorers=names), here)
    none, detail, gfpgan, own = shown["after"]
    before, mouths = (pixels(tmp_path / shown["before"][key]) for key in ("frame", "mouth"))
    assert np.array_equal(pixels(tmp_path / none["frame"]), before)
    changed = pixels(tmp_path / detail["frame"]) != before
    assert changed.any() and not changed[:120].any()  # the mouth is below
    enlarged = pixels(tmp_path / detail["mouth"])
    assert enlarged.shape == mouths.shape and (enlarged != mouths).any()
    assert (none["why"], detail["why"]) == ("the mouth stays as it is", "the mouth is restored")
    assert gfpgan["error"]["code"] == "weights_missing" and gfpgan["frame"] is None
    assert "it is fitted to the original video" in own["error"]["message"]


def _no_second_time(*_arguments: object) -> None:
    raise AssertionError("the video is analyzed again")


def test_restorers_side_by_side_share_the_generated_mouths(
    video: Path, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled: list[int] = []
    make = SoftMouths.__call__

    def noted(self: SoftMouths, chunk: Chunk) -> Any:
        sampled.append(chunk.index)
        return make(self, chunk)

    monkeypatch.setattr(SoftMouths, "__call__", noted)
    spoken = config(video, *COMMON, SOFT, f"input.audio={tone_as_speech(tmp_path)}")
    given = {"config": spoken, "seconds": 0.2, "restorers": ["none", "Detail", "Self"]}
    shown = preview_of_request(asked(tmp_path, **given), here)
    assert [one["error"] for one in shown["after"]] == [None] * 3
    assert shown["after"][1]["why"] == "a new mouth is generated and restored"
    none, detail, own = (pixels(tmp_path / one["frame"]) for one in shown["after"])
    assert (none != detail).any() and (none != own).any()
    assert len(sampled) == len(set(sampled)) > 1


def test_what_is_wrong_with_all_restorers_is_an_error_of_the_preview(
    video: Path, here: Here, tmp_path: Path
) -> None:
    wrong = config(video, "face.speaker=7")
    given = asked(tmp_path, config=wrong, seconds=0.2, restorers=["none", "Detail"])
    with pytest.raises(ConfigError, match=r"face\.speaker"):
        preview_of_request(given, here)


def test_a_preview_of_a_video_without_a_face_says_so(here: Here, tmp_path: Path) -> None:
    empty = make_video(tmp_path / "empty.mp4", moving_pattern(160, 120, 4))
    with pytest.raises(Exception, match="no face found"):
        preview_of_request(
            asked(tmp_path, config=config(empty), seconds=0.0, restorers=["Detail"]), here
        )


def test_an_estimate_names_the_weights_that_would_be_fetched(
    video: Path, here: Here, tmp_path: Path
) -> None:
    given = config(video, "restore.name=CodeFormer")
    found = estimate_of_request(asked(tmp_path, config=given), here)
    assert found["seconds"] > 0 and found["frames"] == FRAMES and found["faces"] == (8, 8)
    (missing,) = found["missing"]
    assert (missing["key"], missing["non_commercial"]) == ("CodeFormer", True)
    assert not missing["accepted"] and "without the time of the restorer" in found["note"]


def test_weights_are_fetched_only_where_their_licence_is_accepted(
    here: Here, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="a licence has not been accepted"):
        fetch_of_request(asked(tmp_path, keys=["CodeFormer"], accept=[]), here)
    with pytest.raises(Exception, match="weights of CodeFormer not found"):  # it is offline
        fetch_of_request(asked(tmp_path, keys=["CodeFormer"], accept=["CodeFormer"]), here)
    with pytest.raises(ApiError, match="no such model: nothing"):
        fetch_of_request(asked(tmp_path, keys=["nothing"], accept=[]), here)


def test_a_proxy_is_written_into_the_folder(video: Path, tmp_path: Path) -> None:
    made = proxy_of_request(asked(tmp_path / "new", video=str(video)))
    assert (tmp_path / "new" / made["file"]).stat().st_size > 1000


def answering(answers: dict[str, Callable[[Asked], dict[str, Any]]]) -> tuple[Answering, list[Any]]:
    said: list[Any] = []
    thread = Answering("test", answers, said.append)
    thread.start()
    return thread, said


def until(happens: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_request_that_is_cancelled_ends_at_its_next_frame_and_one_that_waits_is_not_begun(
    tmp_path: Path,
) -> None:
    def long(one: Asked) -> dict[str, Any]:
        with one.progress()("looking", 0) as step:
            while True:
                time.sleep(0.001)
                step()

    thread, said = answering({"long": long, "never": _no_second_time})
    thread.put(Request(1, "long", {}, tmp_path))
    thread.put(Request(2, "never", {}, tmp_path))
    until(lambda: said)
    thread.cancel(2)
    thread.cancel(1)
    until(lambda: len([one for one in said if isinstance(one, Answer)]) == 2)
    assert all(isinstance(one.error, Cancelled) for one in said if isinstance(one, Answer))
    thread.end()


def test_the_analyses_of_the_last_videos_stay(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentsync.server.work.here.FRAMES", 25)
    analyses, given = Analyses(), [config(video, f"face.max_faces={count}") for count in (1, 2, 3)]
    for one in given:
        with analyses.of(one, lambda: None) as seen:
            seen.analysis = SimpleNamespace(pts=np.zeros(10))
    kept = []
    for one in given[::-1]:
        with analyses.of(one, lambda: None) as seen:
            kept.append(seen.analysis is not None)
    assert kept == [True, True, False]


def test_an_error_is_sent_as_a_sentence_that_another_process_can_read() -> None:
    known = MediaError("no video", "a.mp4", "record it again")
    assert as_sent(known) is known
    bug = as_sent(ZeroDivisionError("division by zero"))
    assert isinstance(bug, ApiError) and bug.status == 500
    assert str(bug) == "ZeroDivisionError: division by zero; this is a bug, please report it"
    memory = as_sent(MemoryError())
    assert isinstance(memory, ApiError) and memory.status == 503


def test_long_work_waits_at_its_next_frame_while_something_goes_first() -> None:
    turn, frames, stop = Turn(), [0], threading.Event()

    def work() -> None:
        while not stop.is_set():
            turn.let_go()
            frames[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with turn.first():
        time.sleep(0.05)
        there = frames[0]
        time.sleep(0.1)
        assert frames[0] == there
    until(lambda: frames[0] > there + 5)
    stop.set()
    thread.join()


def test_restorers_side_by_side_share_all_other_models(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr("latentsync.pipeline.engine.LipSync", lambda *_: loaded.append(1) or "one")
    engines, plain = Engines(4), load_config(None, ["face.occlusion=off"])
    none, detail, own, again = (
        engines.of(
            dataclasses.replace(plain, restore=dataclasses.replace(plain.restore, name=name))
        )
        for name in ("none", "Detail", "Self", "Detail")
    )
    assert detail is again and len({none, detail, own}) == 3
    assert {one.lipsync for one in (none, detail, own)} == {"one"} and loaded == [1]
    other = load_config(None, ["face.occlusion=off", "face.identity=edges"])
    assert engines.of(other)._like is None


def test_a_session_takes_the_analysis_of_another_one(video: Path) -> None:
    own = config(video)
    engine = Engine(own)
    with Session(engine, video, config=own) as first:
        seen = first.observe()
        expected = first.plan
    with Session(engine, video, config=own, observed=seen) as second:
        assert second.observe() is seen
        assert np.array_equal(second.plan.strength, expected.strength)
