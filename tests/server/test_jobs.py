"""Jobs of a server: checked before they are queued, made once for one key, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latentsync.server.quick import generators, weights
from latentsync.server.settings import Limits
from latentsync.server.views import CANCELLED, COMPLETED, FAILED, QUEUED, JobRequest
from latentsync.settings.load import load_config
from latentsync.weights.manifest import CODEFORMER
from tests.support.pictures import encoded, smooth
from tests.support.serving import (
    ANNA,
    BEN,
    StandIn,
    chunks,
    finish,
    given,
    queued,
    refused,
    serving,
    small_audio,
    small_video,
    store_of,
)


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Weights that jobs are without; the small ones are there."""
    missing: list[Any] = []
    monkeypatch.setattr(weights, "missing_weights", lambda _config, *, speech: missing)
    monkeypatch.setattr(generators, "is_here", lambda _model: False)
    yield missing


def test_a_job_is_queued_with_what_was_asked_for(tmp_path: Path) -> None:
    async def run() -> None:
        engine = StandIn()
        async with serving(tmp_path, engine) as service:
            settings = {"output.crf": 20, "restore.name": "none"}
            video = await given(service, small_video(tmp_path))
            audio = await given(service, small_audio(tmp_path))
            asked = JobRequest(video, audio, speaker="left", settings=settings, name="My\nclip")
            job, new = await service.create(ANNA, asked)
            assert (new, job.state, job.name, job.position) == (True, QUEUED, "My clip", 0)
            assert (job.video, job.audio, job.settings) == (video, audio, settings)
            assert set(job.links) == {"self", "events", "source", "settings"}
            assert engine.wakes == 1
            with store_of(service) as store:
                config = store.job(job.id).config
            assert config["input"]["video"] == str(service.upload_file(ANNA, video))
            assert config["output"]["path"].endswith(f"jobs/{job.id}/result.mp4")
            assert (config["output"]["crf"], config["output"]["evaluate"]) == (20, True)
            assert config["face"]["speaker"] == "left"
            assert config["generate"][
                "name"
            ] == "replay" and "LatentSync and MuseTalk are not" in str(job.note)
            text = service.job_file(ANNA, job.id, "settings")
            loaded = load_config(text)
            assert (loaded.output.crf, loaded.generate.name) == (20, "replay")
            assert "video: clip.mp4" in text.read_text() and str(tmp_path) not in text.read_text()

    asyncio.run(run())


def test_a_picture_becomes_a_picture_and_is_not_judged(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            view = await service.receive(ANNA, "a.png", chunks(encoded(smooth(), "PNG")))
            job, _ = await service.create(ANNA, JobRequest(view.id))
            with store_of(service) as store:
                output = store.job(job.id).config["output"]
            assert output["path"].endswith("result.png") and not output["evaluate"]

    asyncio.run(run())


def test_what_cannot_be_done_is_refused_before_it_is_queued(
    tmp_path: Path, no_weights: list[Any]
) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            video = await given(service, small_video(tmp_path))
            audio = await given(service, small_audio(tmp_path))
            asked = JobRequest(video)
            for request, code, field in (
                (replace(asked, video=audio), "kind", "video"),
                (replace(asked, reference=audio), "kind", "reference"),
                (replace(asked, settings={"restore.when": "never"}), "setting", "restore.when"),
                (replace(asked, settings={"restore.name": "Self"}), "setting", "restore.name"),
                (replace(asked, settings={"output.crf": 99}), "setting", "output.crf"),
                (replace(asked, speaker="/etc/passwd"), "setting", "speaker"),
                (replace(asked, priority=1000), "priority", "priority"),
                (replace(asked, webhook="https://example.com"), "webhook", "webhook"),
            ):
                with refused(422, code, field=field):
                    await service.create(ANNA, request)
            with refused(404, "not_found", field="audio"):
                await service.create(ANNA, replace(asked, audio="0" * 32))
            with refused(404, "not_found", field="video"):
                await service.create(BEN, asked)
            no_weights.append(CODEFORMER)
            with refused(422, "weights_missing", "accept CodeFormer"):
                await service.create(ANNA, asked)
            assert service.jobs(ANNA) == ([], False)
            assert list((tmp_path / "server" / "users").glob("*/jobs/*")) == []

    asyncio.run(run())


def test_the_same_key_is_the_same_job_even_with_the_files_sent_anew(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            video = small_video(tmp_path)
            asked = [JobRequest(await given(service, video)) for _ in range(2)]
            for keys in ({"key": "k1"}, {"client_id": "c1"}):
                both = [service.create(ANNA, one, **keys) for one in asked]
                (first, new), (second, again) = await asyncio.gather(*both)
                assert first.id == second.id and {new, again} == {True, False}
                with refused(409, "key_used"):
                    await service.create(ANNA, replace(asked[0], name="other"), **keys)
                ben = JobRequest(await given(service, video, BEN))
                assert (await service.create(BEN, ben, **keys))[1]
            for key in ("", "a b", "ä", "x" * 129, "a/b"):
                with refused(400, "invalid_idempotency_key"):
                    await service.create(ANNA, asked[0], key=key)
            service.delete(ANNA, first.id)
            assert (await service.create(ANNA, asked[0], client_id="c1"))[1]

    asyncio.run(run())


def test_the_queue_has_its_limits(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, limits=Limits(disk=0, queue_of_user=1, queue=2)) as service:
            job = await queued(service, tmp_path)
            with refused(429, "queue_full", "you have 1") as error:
                await queued(service, tmp_path)
            assert error.value.retry_after
            await queued(service, tmp_path, BEN)
            with refused(429, "queue_full", "the server has 2"):
                await queued(service, tmp_path, "third")
            service.cancel(ANNA, job.id)
            await queued(service, tmp_path)
            with refused(429, "queue_full"):
                service.retry(ANNA, job.id)

    asyncio.run(run())


def test_a_job_is_nobody_elses(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
            for call in (service.job, service.cancel, service.retry, service.delete):
                with refused(404, "not_found"):
                    call(BEN, job.id)
            with refused(404, "not_found"):
                service.job_file(BEN, job.id, "settings")
            with refused(404, "not_found"):
                service.jobs(BEN, after=job.id)
            assert service.jobs(BEN) == ([], False)
            for part in (job.id[:8], "1", "", f"{job.id}/../x"):
                with refused(404, "not_found"):
                    service.job(ANNA, part)

    asyncio.run(run())


def test_jobs_are_listed_newest_first_by_pages_and_states(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            jobs = [(await queued(service, tmp_path)).id for _ in range(5)]
            service.cancel(ANNA, jobs[1])
            service.cancel(ANNA, jobs[3])

            def ids(**asked: Any) -> tuple[list[int], bool]:
                found, more = service.jobs(ANNA, **asked)
                return [jobs.index(one.id) for one in found], more

            assert ids() == ([4, 3, 2, 1, 0], False)
            assert ids(limit=2) == ([4, 3], True)
            assert ids(limit=3, after=jobs[3]) == ([2, 1, 0], False)
            assert ids(limit=2, state=QUEUED) == ([4, 2], True)
            assert ids(state=CANCELLED, after=jobs[3]) == ([1], False)
            positions = {jobs.index(one.id): one.position for one in service.jobs(ANNA)[0]}
            assert positions == {0: 0, 1: None, 2: 1, 3: None, 4: 2}
            for asked in ({"limit": 0}, {"limit": 101}, {"state": "done"}):
                with refused(422, next(iter(asked))):
                    ids(**asked)

    asyncio.run(run())


def test_a_job_that_is_completed_has_its_files(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, keep_hours=1) as service:
            job = await queued(service, tmp_path)
            with refused(404, "not_found"):
                service.job_file(ANNA, job.id, "video")
            output = finish(service, job)
            done = service.job(ANNA, job.id)
            assert (done.state, done.progress, done.seconds_left) == (COMPLETED, 100, None)
            assert done.completed_at and done.expires_at == done.completed_at + 3600
            assert {"video", "source"} <= set(done.links) and "report" not in done.links
            assert service.job_file(ANNA, job.id, "video") == output
            assert service.job_file(ANNA, job.id, "proxy") == output
            assert service.job_file(ANNA, job.id, "source").name == "file.mp4"
            for what in ("report", "page", "../../x", "nothing"):
                with refused(404, "not_found"):
                    service.job_file(ANNA, job.id, what)

    asyncio.run(run())


def test_a_failed_job_says_why_with_the_names_that_its_user_gave_and_can_be_tried_again(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
            with store_of(service) as store:
                task = store.lease("one")
                assert task is not None
                store.failed(
                    task, f"no video: {service.upload_file(ANNA, job.video)}; look", again_in=None
                )
            failed = service.job(ANNA, job.id)
            assert failed.state == FAILED and failed.error is not None
            name = service.upload(ANNA, job.video).name
            assert name != "file.mp4" and failed.error.message == f"no video: {name}; look"
            with refused(409, "ended"):
                service.cancel(ANNA, job.id)
            assert service.retry(ANNA, job.id).state == QUEUED
            with refused(409, "not_ended"):
                service.retry(ANNA, job.id)
            assert service.cancel(ANNA, job.id).state == CANCELLED
            assert service.cancel(ANNA, job.id).state == CANCELLED
            service.delete_upload(ANNA, job.video)
            with refused(404, "not_found", field="video"):
                service.retry(ANNA, job.id)

    asyncio.run(run())


def test_uploads_of_unfinished_jobs_do_not_count(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path, limits=Limits(disk=0, uploads=1)) as service:
            job = await queued(service, tmp_path)
            await given(service, small_video(tmp_path))
            with refused(429, "too_many_uploads"):
                await given(service, small_video(tmp_path))
            service.cancel(ANNA, job.id)
            service.delete_upload(ANNA, job.video)
            with refused(429, "too_many_uploads"):
                await given(service, small_video(tmp_path))

    asyncio.run(run())


def test_an_upload_stays_while_an_unfinished_job_needs_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            job = await queued(service, tmp_path)
            with refused(409, "in_use"):
                service.delete_upload(ANNA, job.video)
            service.cancel(ANNA, job.id)
            service.delete_upload(ANNA, job.video)
            assert "source" not in service.job(ANNA, job.id).links

    asyncio.run(run())
