"""Work that somebody waits for: asked of the engine, answered with URLs, kept for a while."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import pytest

from latentsync.errors import ConfigError, FaceNotFoundError
from latentsync.server.quick import generators, tasks, weights
from latentsync.server.service import Service
from latentsync.server.views import (
    CANCELLED,
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    EstimateView,
    JobRequest,
    ModelView,
    PersonView,
    PictureView,
    PreviewView,
)
from tests.support.serving import (
    ANNA,
    BEN,
    StandIn,
    given,
    refused,
    serving,
    small_audio,
    small_video,
)

PICTURE = PictureView("Detail", "after-1.png", None, "restored")


@pytest.fixture(autouse=True)
def no_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators, "is_here", lambda _model: False)


async def preview(service: Service, folder: Path, user: str = ANNA) -> str:
    video = await given(service, small_video(folder), user)
    return service.preview(user, JobRequest(video), 0.1, ("none", "Detail", "none")).id


def test_a_preview_is_asked_for_with_settings_and_answered_with_urls(tmp_path: Path) -> None:
    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            task_id = await preview(service, tmp_path)
            (asked,) = engine.asked
            assert (asked.kind, asked.arguments["seconds"]) == ("preview", 0.1)
            assert asked.arguments["restorers"] == ["none", "Detail"]
            assert asked.arguments["config"]["input"]["video"].endswith("file.mp4")
            assert service.task(ANNA, task_id).state == QUEUED
            asked.progress(0.25, "detecting faces")
            now = service.task(ANNA, task_id)
            assert (now.state, now.progress, now.stage) == (IN_PROGRESS, 25, "detecting faces")
            waiting = asyncio.create_task(service.finished(ANNA, task_id, 5))
            await asyncio.sleep(0.02)
            asked.folder.mkdir(parents=True)
            (asked.folder / "after-1.png").write_bytes(b"png")
            asked.future.set_result(asdict(PreviewView(0.1, PICTURE, (PICTURE,))))
            done = await waiting
            assert (done.state, done.progress, done.stage) == (COMPLETED, 100, None)
            url = f"/v1/tasks/{task_id}/files/after-1.png"
            assert done.result.after[0].frame == done.result.before.frame == url
            assert done.result.before.mouth is None
            assert service.task_file(ANNA, task_id, "after-1.png").read_bytes() == b"png"
            for name in ("before.png", "../after-1.png", "", ".", "after-1.png\0"):
                with refused(404, "not_found"):
                    service.task_file(ANNA, task_id, name)
            with refused(404, "not_found"):
                service.task_file(BEN, task_id, "after-1.png")
            with refused(404, "not_found"):
                service.task(BEN, task_id)

    asyncio.run(run())


def test_a_newer_preview_ends_the_users_older_one_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            other = await preview(service, tmp_path, BEN)
            first, second = [await preview(service, tmp_path) for _ in range(2)]
            states = [service.task(*one).state for one in ((ANNA, first), (ANNA, second))]
            assert states == [CANCELLED, QUEUED]
            assert service.task(BEN, other).state == QUEUED

    asyncio.run(run())


def test_waiting_ends_after_its_time(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            task_id = await preview(service, tmp_path)
            assert (await service.finished(ANNA, task_id, 0.02)).state == QUEUED

    asyncio.run(run())


def test_an_error_is_worded_as_the_command_words_it_without_folders(tmp_path: Path) -> None:
    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            video = await given(service, small_video(tmp_path))
            for error, code, message in (
                (
                    FaceNotFoundError("no face", service.upload_file(ANNA, video), "use another"),
                    *("no_face", "no face: file.mp4; use another"),
                ),
                (ConfigError("x", 1, "y"), "setting", "x: 1; y"),
            ):
                task = service.find_people(ANNA, video)
                engine.asked[-1].future.set_exception(error)
                failed = service.task(ANNA, task.id)
                assert failed.state == FAILED and failed.error is not None
                assert (failed.error.code, failed.error.message) == (code, message)

    asyncio.run(run())


def test_people_and_estimates_are_views(tmp_path: Path) -> None:
    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            video = await given(service, small_video(tmp_path))
            audio = await given(service, small_audio(tmp_path))
            task = service.find_people(ANNA, video)
            person = PersonView("1", "person-1.jpg", 2.0, 0.5, ((0.0, 1.0),), False)
            engine.asked[-1].future.set_result({"people": [asdict(person)]})
            (found,) = service.task(ANNA, task.id).result
            assert found.portrait == f"/v1/tasks/{task.id}/files/person-1.jpg"
            assert found.speaks == ((0.0, 1.0),)
            task = service.estimate(ANNA, JobRequest(video, audio))
            model = ModelView("GFPGAN", "x", False, 9, "l", None, True, False, None)
            view = EstimateView(9.0, 100, (model,), (1, 2), "first")
            engine.asked[-1].future.set_result(asdict(view))
            estimate = service.task(ANNA, task.id).result
            assert (estimate.seconds, estimate.missing, estimate.faces) == (9.0, (model,), (1, 2))
            assert (
                estimate.note.startswith("Replay makes the mouths") and "; first" in estimate.note
            )

    asyncio.run(run())


def test_what_cannot_be_asked_is_refused_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            video = await given(service, small_video(tmp_path))
            asked = JobRequest(video)
            for seconds, names, field in (
                *((-1.0, (), "seconds"), (float("nan"), (), "seconds")),
                (0.0, ("os:system",), "restorers"),
            ):
                with refused(422, field, field=field):
                    service.preview(ANNA, asked, seconds, names)
            with refused(422, "setting", field="input.video"):
                service.estimate(ANNA, JobRequest(video, settings={"input.video": "/etc/passwd"}))
            with refused(404, "not_found"):
                service.find_people(BEN, video)
            assert engine.asked == []

    asyncio.run(run())


def test_weights_are_fetched_by_name_with_their_licence_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.licences, "accepted", lambda: "")

    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            for keys, accept, code in (
                *((("nothing",), (), "keys"), ((), (), "keys")),
                *((("CodeFormer",), (), "licence"), (("CodeFormer",), ("x",), "accept")),
            ):
                with refused(422, code):
                    service.fetch(ANNA, keys, accept)
            task = service.fetch(ANNA, ("CodeFormer",), ("CodeFormer",))
            assert engine.asked[0].arguments == {"keys": ["CodeFormer"], "accept": ["CodeFormer"]}
            view = next(one for one in service.models() if one.key == "CodeFormer")
            assert view.non_commercial and not view.accepted and view.licence_url
            engine.asked[0].future.set_result({"models": [asdict(view)]})
            assert service.task(ANNA, task.id).result == (view,)
        async with serving(tmp_path / "two", offline=True) as service:
            with refused(422, "offline"):
                service.fetch(ANNA, ("CodeFormer",), ("CodeFormer",))

    asyncio.run(run())


def test_a_user_waits_for_so_many_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MOST_WAITING", 1)

    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            video = await given(service, small_video(tmp_path))
            service.find_people(ANNA, video)
            with refused(429, "too_many_tasks") as error:
                service.find_people(ANNA, video)
            assert error.value.retry_after
            engine.asked[0].future.set_result({"people": []})
            service.find_people(ANNA, video)

    asyncio.run(run())


def test_results_are_kept_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MOST_KEPT", 1)

    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            ids = []
            for _ in range(3):
                ids.append(await preview(service, tmp_path))
                engine.asked[-1].folder.mkdir(parents=True)
            engine.asked[-1].future.set_exception(ConfigError("x", 1, "y"))
            ids.append(await preview(service, tmp_path))
            service._quick.sweep()
            known = [service.task(ANNA, one).state for one in ids[2:]]
            assert known == [FAILED, QUEUED]
            for one in ids[:2]:
                with refused(404, "not_found"):
                    service.task(ANNA, one)
            left = [path.name for path in (tmp_path / "server").glob("users/anna/tasks/*")]
            assert left == [ids[2]]
            monkeypatch.setattr(tasks, "KEPT_SECONDS", -1.0)
            service._quick.sweep()
            with refused(404, "not_found"):
                service.task(ANNA, ids[2])
            assert service.task(ANNA, ids[3]).state == QUEUED

    asyncio.run(run())
