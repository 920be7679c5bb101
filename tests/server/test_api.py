"""The routes: what a program sends, and what it is answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from latentsync.server.http.routes.files import safe_name
from latentsync.server.http.routes.jobs import _until
from tests.support.made_up_service import MadeUpService
from tests.support.served import job_of, served

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def both(tmp_path: Path) -> tuple[TestClient, MadeUpService]:
    return served(tmp_path)


@pytest.fixture
def client(both: tuple[TestClient, MadeUpService]) -> TestClient:
    return both[0]


def error_of(answer: Any) -> tuple[int, str, str | None]:
    body = answer.json()
    assert set(body) == {"code", "message", "field"}
    return answer.status_code, body["code"], body["field"]


def test_one_form_makes_a_job(both: tuple[TestClient, MadeUpService]) -> None:
    client, service = both
    files = {"video": ("v.mp4", b"frames"), "audio": ("a.wav", b"speech")}
    fields = {"name": "clip", "priority": "3", "evaluate": "false", "restore.batch": "2"}
    made = client.post(
        "/v1/jobs", files=files, data={**fields, "settings": '{"restore": {"name": "GFPGAN"}}'}
    )
    assert made.status_code == 201
    asked = service.requests[made.json()["id"]]
    assert (asked.name, asked.priority, asked.evaluate) == ("clip", 3, False)
    assert asked.settings == {"restore.batch": 2, "restore.name": "GFPGAN"}
    assert client.get(f"/v1/uploads/{asked.audio}/file").content == b"speech"


def test_json_makes_a_job_of_uploads(both: tuple[TestClient, MadeUpService]) -> None:
    client, service = both
    upload = client.post("/v1/uploads", files={"file": ("v.mp4", b"frames")})
    assert upload.status_code == 201
    body = {"video": upload.json()["id"], "settings": {"restore.batch": 2}}
    made = client.post("/v1/jobs", json=body)
    assert made.status_code == 201
    assert service.requests[made.json()["id"]].settings == {"restore.batch": 2}


def test_the_same_key_makes_a_job_once(client: TestClient) -> None:
    upload = client.put("/v1/uploads/v.mp4", content=b"x").json()["id"]
    body, key = {"video": upload}, {"Idempotency-Key": "k-1"}
    first = client.post("/v1/jobs", json=body, headers=key)
    again = client.post("/v1/jobs", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    named = [client.put("/v1/jobs/mine", json=body) for _ in range(2)]
    assert [one.status_code for one in named] == [201, 200]


def test_a_key_that_is_none_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json={"video": "v"}, headers={"Idempotency-Key": "a b"})
    assert error_of(answer) == (400, "invalid_idempotency_key", "idempotency_key")
    answer = client.put("/v1/jobs/a%20b", json={"video": "v"})
    assert error_of(answer) == (400, "invalid_client_id", "client_id")


def test_a_job_that_is_refused_leaves_no_upload(both: tuple[TestClient, MadeUpService]) -> None:
    client, service = both
    for data in ({"priority": "high"}, {"settings": "[]"}, {"nmae": "x"}, {"audio": "/etc/passwd"}):
        answer = client.post("/v1/jobs", files={"video": ("v.mp4", b"x")}, data=data)
        assert error_of(answer)[:2] == (422, "invalid")
    assert service.uploads == {}


def test_a_form_sent_again_leaves_one_upload(both: tuple[TestClient, MadeUpService]) -> None:
    client, service = both
    for _ in range(2):
        client.put("/v1/jobs/mine", files={"video": ("v.mp4", b"x")})
    assert len(service.uploads) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b'{"video": NaN}', "NaN is no number"),
        (b'{"video": "\\ud800"}', "no JSON"),
        (b'{"video": "\\u0000"}', "a NUL character"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"priority": ' + b"9" * 5000 + b"}", "no JSON"),
    ],
)
def test_json_that_means_different_things_to_different_readers_is_refused(
    client: TestClient, body: bytes, said: str
) -> None:
    for path in ("/v1/jobs", "/v1/speakers"):
        answer = client.post(path, content=body, headers=JSON)
        assert error_of(answer) == (400, "invalid_json", None)
        assert said in answer.json()["message"]


def test_an_error_names_the_field_the_value_and_what_it_should_be(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json={"video": "v", "priority": 1000})
    assert error_of(answer) == (422, "invalid", "priority")
    assert answer.json()["message"].startswith("priority: 1000; input should be less than")
    assert error_of(client.post("/v1/jobs", json={})) == (422, "invalid", "video")
    assert error_of(client.post("/v1/speakers", json={"video": 1})) == (422, "invalid", "video")
    assert error_of(client.get("/v1/jobs?limit=0")) == (422, "invalid", "limit")
    place = client.post("/v1/jobs", json={"video": "https://example.org/v", "audio": "/a.wav"})
    assert error_of(place) == (422, "invalid", "video")


def test_what_does_not_exist_is_an_error_of_the_same_shape(client: TestClient) -> None:
    assert error_of(client.get("/v1/nothing")) == (404, "not_found", None)
    assert error_of(client.get("/nothing")) == (404, "not_found", None)
    assert error_of(client.get("/v1/jobs/none")) == (404, "not_found", None)
    refused = client.patch("/v1/jobs/none")
    assert error_of(refused) == (405, "method_not_allowed", None)
    assert refused.headers["allow"] == "DELETE, GET, PUT"


def test_what_nobody_expected_is_told_to_the_log_only(
    both: tuple[TestClient, MadeUpService],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client, service = both
    monkeypatch.setattr(service, "models", lambda: 1 / 0)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/v1/models")
    assert error_of(answer) == (500, "internal", None)
    assert "division" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_the_list_goes_on_after_the_last_id(client: TestClient) -> None:
    ids = [job_of(client)["id"] for _ in range(3)]
    first = client.get("/v1/jobs?limit=2").json()
    assert [job["id"] for job in first["data"]] == [ids[2], ids[1]]
    assert (first["first_id"], first["last_id"], first["has_more"]) == (ids[2], ids[1], True)
    rest = client.get(f"/v1/jobs?limit=2&after={first['last_id']}").json()
    assert [job["id"] for job in rest["data"]] == [ids[0]]
    assert not rest["has_more"]
    assert client.get("/v1/jobs?state=completed").json()["data"] == []


def test_a_job_is_cancelled_tried_again_and_deleted(client: TestClient) -> None:
    path = f"/v1/jobs/{job_of(client)['id']}"
    assert client.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert error_of(client.post(f"{path}/cancel"))[0] == 409
    assert client.post(f"{path}/retry").json()["state"] == "queued"
    assert client.delete(path).status_code == 204
    assert error_of(client.get(path))[0] == 404


def test_events_end_with_the_job(both: tuple[TestClient, MadeUpService]) -> None:
    client, service = both
    job = job_of(client, name="a\u2028b")
    service.end("local", job["id"], "completed")
    answer = client.get(f"/v1/jobs/{job['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    fields = dict(line.split(": ", 1) for line in answer.text.split("\r\n") if ": " in line)
    assert (fields["event"], fields["id"]) == ("job", "end")
    assert json.loads(fields["data"])["state"] == "completed"
    again = client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "end"})
    assert again.status_code == 204  # which stops a browser from asking again
    assert error_of(client.get("/v1/jobs/none/events"))[0] == 404


def test_events_end_when_the_server_is_about_to() -> None:
    async def views() -> AsyncIterator[Any]:
        yield "the job"
        await asyncio.sleep(60)

    async def seen() -> list[Any]:
        ending, found = anyio.Event(), []
        async for view in _until(ending, views()):
            found.append(view)
            ending.set()
        return found

    assert asyncio.run(asyncio.wait_for(seen(), 5)) == ["the job"]


def test_one_user_has_only_so_many_event_streams(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/jobs/{job_of(client)['id']}/events"
    monkeypatch.setattr("latentsync.server.http.routes.jobs.STREAMS", 0)
    answer = client.get(path)
    assert error_of(answer)[:2] == (429, "too_many_streams")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=0-99", 206, b"0123456789"),
        ("bytes=4-2", 200, b"0123456789"),  # not one range that can be read: RFC 9110, 14.2
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_a_part_of_a_video_is_sent(
    client: TestClient, asked: str, status: int, content: bytes
) -> None:
    path = f"/v1/jobs/{job_of(client)['id']}/video"
    answer = client.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, content)


def test_a_range_behind_the_end_is_refused(client: TestClient) -> None:
    path = f"/v1/jobs/{job_of(client)['id']}/video"
    for asked in ("bytes=10-", "bytes=-0"):
        answer = client.get(path, headers={"Range": asked})
        assert error_of(answer)[:2] == (416, "range_not_satisfiable")


def test_a_result_has_the_name_that_its_user_knows_and_not_that_of_its_source(
    client: TestClient,
) -> None:
    path = f"/v1/jobs/{job_of(client, name='Grüße.mov')['id']}/video"
    shown = client.get(path).headers["content-disposition"]
    assert shown == "inline; filename*=utf-8''Gr%C3%BC%C3%9Fe.result.mp4"
    saved = client.get(f"{path}?download=1").headers["content-disposition"]
    assert saved.startswith("attachment; ")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"; filename="b.exe', "a_; filename=_b.exe"),
        ("a\r\nSet-Cookie: x", "a_Set-Cookie_ x"),
        ("Grüße 你好.mp4", "Grüße 你好.mp4"),
        ("\ud800", "_"),
        ("...", "file"),
    ],
)
def test_no_name_breaks_out_of_its_header(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_result_comes_at_once_if_one_waits_for_it(client: TestClient) -> None:
    upload = client.put("/v1/uploads/v.mp4", content=b"x").json()["id"]
    begun = client.post("/v1/estimates", json={"video": upload})
    assert (begun.status_code, begun.json()["state"]) == (202, "queued")
    assert client.get(f"/v1/tasks/{begun.json()['id']}").json()["result"]["seconds"] == 1.0
    for given in ({"params": {"wait": 5}}, {"headers": {"Prefer": "respond-async, wait=5"}}):
        ended = client.post("/v1/estimates", json={"video": upload}, **given)
        assert (ended.status_code, ended.json()["state"]) == (200, "completed")


def test_models_are_listed_and_fetched(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["data"]
    fetched = client.post("/v1/models/fetch?wait=1", json={"keys": [model["key"]]})
    assert fetched.json()["result"] == [model]


def test_figures_count_routes_not_paths(client: TestClient) -> None:
    for job in ("a", "b"):
        client.get(f"/v1/jobs/{job}")
    text = client.get("/metrics").text
    line = 'latentsync_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 2'
    assert line in text.splitlines()
    assert "latentsync_jobs 0" in text.splitlines()


def test_the_list_of_routes_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs")
    assert "POST /v1/jobs/{job_id}/cancel" in page.text
    for mark in ("<script", "src=", "http://", "https://", "@import"):
        assert mark not in page.text.replace("an https URL", "")
