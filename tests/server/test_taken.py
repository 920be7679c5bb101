"""The files of a request: a request that is refused, or is an old one, leaves none behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from latentsync.server.errors import ApiError
from latentsync.server.views import UploadView
from tests.support.made_up_service import MadeUpService
from tests.support.served import served

URL = "https://media.example/v.mp4"
FILES = {"video": ("v.mp4", b"frames"), "audio": ("a.wav", b"speech")}


class Fetching(MadeUpService):
    """Every URL and every path leads to a file."""

    async def use(self, user: str, place: str) -> UploadView:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"frames"

        return await self.receive(user, place, chunks())


@pytest.fixture
def both(tmp_path: Path) -> tuple[TestClient, Fetching]:
    client, made = served(tmp_path)
    service = Fetching(made.settings)
    client.app.state.service = service  # type: ignore[attr-defined]
    return client, service


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/previews", "/v1/estimates"])
def test_what_was_fetched_for_a_refused_request_goes_again(
    both: tuple[TestClient, Fetching], path: str
) -> None:
    client, service = both
    nothing = "0" * 32
    asked = {"video": URL, "reference": "/srv/named by path.mp4", "audio": nothing}
    for wrong in ({"video": nothing, "audio": URL}, {**asked, "video": nothing, "audio": URL}):
        assert client.post(path, json=wrong).status_code == 404
    assert {view.name for view, _ in service.uploads.values()} <= {asked["reference"]}


def test_what_was_fetched_stays_for_a_job_that_is_made_and_not_for_the_same_again(
    both: tuple[TestClient, Fetching],
) -> None:
    client, service = both
    for status in (201, 200):
        for given in ({"json": {"video": URL}}, {"files": FILES}):
            key = {"Idempotency-Key": "-".join(given)}
            assert client.post("/v1/jobs", headers=key, **given).status_code == status
    assert len(service.uploads) == 3


def test_a_file_that_cannot_be_used_is_told_by_its_field(
    both: tuple[TestClient, Fetching], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = both

    async def use(_user: str, _place: str) -> UploadView:
        raise ApiError(422, "url", "it leads nowhere; give another one", "url")

    monkeypatch.setattr(service, "use", use)
    answer = client.post("/v1/jobs", json={"video": "0" * 32, "audio": URL})
    assert (answer.json()["code"], answer.json()["field"]) == ("url", "audio")


@pytest.mark.parametrize("deep", ['{"a":' * 700 + "1" + "}" * 700, "[" * 700 + "1" + "]" * 700])
def test_wrong_settings_are_refused_before_anything_is_fetched(
    both: tuple[TestClient, Fetching], monkeypatch: pytest.MonkeyPatch, deep: str
) -> None:
    client, service = both
    monkeypatch.setattr(service, "use", None)
    body = f'{{"video": "{URL}", "settings": {{"output.crf": {deep}}}}}'
    answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "setting")
