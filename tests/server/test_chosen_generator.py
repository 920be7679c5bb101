"""New speech is made by the first generator whose weights are there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from latentsync.server.quick import generators, weights
from latentsync.server.views import JobRequest
from latentsync.weights.manifest import LATENTSYNC_UNET, LATENTSYNC_UNET_15
from tests.support.pictures import encoded, smooth
from tests.support.serving import (
    ANNA,
    chunks,
    given,
    queued,
    serving,
    small_audio,
    store_of,
)


@pytest.fixture(autouse=True)
def nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "missing_weights", lambda _config, *, speech: [])


def test_new_speech_is_made_by_latentsync_where_its_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generators, "is_here", lambda model: model is not LATENTSYNC_UNET)

    async def run() -> None:
        async with serving(tmp_path) as service:
            audio = await given(service, small_audio(tmp_path))
            job = await queued(service, tmp_path, audio=audio)
            with store_of(service) as store:
                config = store.job(job.id).config
            assert config["generate"]["name"] == "latentsync" and job.note is None
            assert config["data"]["resolution"] == 256

    asyncio.run(run())


def test_without_latentsync_s_weights_the_next_generator_that_can_be_used_makes_the_mouths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latentsync = (LATENTSYNC_UNET, LATENTSYNC_UNET_15)
    here = [True]
    monkeypatch.setattr(generators, "is_here", lambda model: model not in latentsync and here[0])

    async def run() -> None:
        async with serving(tmp_path) as service:
            audio = await given(service, small_audio(tmp_path))
            face = (await service.receive(ANNA, "a.png", chunks(encoded(smooth(), "PNG")))).id

            async def chosen(**more: Any) -> tuple[str, str | None]:
                if "video" in more:
                    job, _ = await service.create(ANNA, JobRequest(audio=audio, **more))
                else:
                    job = await queued(service, tmp_path, audio=audio, **more)
                with store_of(service) as store:
                    return store.job(job.id).config["generate"]["name"], job.note

            name, note = await chosen()
            assert name == "musetalk" and "as the weights of LatentSync are not here" in str(note)
            assert (await chosen(video=face))[0] == "musetalk"
            assert await chosen(settings={"generate.name": "Latentsync"}) == ("Latentsync", None)
            here[0] = False
            assert (await chosen())[0] == "replay"
            assert await chosen(video=face) == ("latentsync", None), "a picture has one mouth"
            assert await chosen(settings={"generate.name": "musetalk"}) == ("musetalk", None)

    asyncio.run(run())
