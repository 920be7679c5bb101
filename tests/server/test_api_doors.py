"""Who is let in, and how much of what they send is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from latentsync.server.http.body_limit import SLOWEST, BodyLimit
from latentsync.server.http.doors import Doors
from latentsync.server.settings import Limits, ServerSettings
from tests.support.made_up_service import MadeUpService
from tests.support.served import job_of, served

LIMITS = Limits(upload=3000, body=1000)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def both(tmp_path: Path) -> tuple[TestClient, MadeUpService]:
    return served(tmp_path, limits=LIMITS, hosts=("dub.example.org",))


@pytest.fixture
def client(both: tuple[TestClient, MadeUpService]) -> TestClient:
    return both[0]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost", 200),
        ("[::1]:7860", 200),
        ("192.168.1.7:7860", 200),  # an address is nobody's name
        ("dub.example.org", 200),
        ("DUB.example.org:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("localhost.evil.example:7860", 421),
        ("evil.example\\@127.0.0.1", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_only_the_server_s_own_names_are_answered(
    client: TestClient, host: str, status: int
) -> None:
    for path in ("/healthz", "/v1/jobs", "/"):
        assert client.get(path, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:7860"}, True),
        ({"Origin": "https://dub.example.org"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:9999"}, False),
        ({"Origin": "http://localhost:7860"}, False),
        ({"Origin": "http://127.0.0.1:7860.evil.example"}, False),
        ({"Origin": "http://[::1"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_no_page_of_another_site_changes_anything(
    both: tuple[TestClient, MadeUpService], headers: dict[str, str], allowed: bool
) -> None:
    client, service = both
    job = job_of(client)["id"]
    for method, path in (("POST", f"/v1/jobs/{job}/cancel"), ("DELETE", f"/v1/jobs/{job}")):
        answer = client.request(method, path, headers=headers)
        assert (answer.status_code < 300) == allowed
        assert allowed or answer.json()["code"] == "cross_site"
    assert (service.made == {}) == allowed


def test_no_other_site_may_read_an_answer(client: TestClient) -> None:
    answer = client.get("/v1/jobs", headers={"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "DELETE"}
    assert client.options("/v1/jobs/x", headers=asked).status_code == 405


def test_every_answer_tells_browsers_to_do_no_more_with_it(client: TestClient) -> None:
    job = job_of(client)["id"]
    for path in ("/", "/docs", "/v1/jobs", "/v1/none", f"/v1/jobs/{job}/video", "/v1/jobs?limit=0"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors" in headers["content-security-policy"]
        assert "default-src" in headers["content-security-policy"]
    assert "sandbox" in client.get(f"/v1/jobs/{job}/video").headers["content-security-policy"]


def test_a_form_of_another_site_cannot_pass_for_json(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        for path in ("/v1/jobs", "/v1/speakers"):
            answer = client.post(path, content=b'{"video": "v"}', headers={"Content-Type": kind})
            assert (answer.status_code, answer.json()["code"]) == (415, "wrong_type")


def chunks(total: int) -> Iterator[bytes]:
    yield from (b" " * 100 for _ in range(total // 100))


@pytest.mark.parametrize("content", [b" " * 1100, chunks(1100)], ids=["announced", "in chunks"])
def test_a_body_that_is_too_large_is_not_read(client: TestClient, content: Any) -> None:
    answer = client.post("/v1/speakers", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_an_upload_may_be_larger_and_is_limited_too(
    both: tuple[TestClient, MadeUpService],
) -> None:
    client, service = both
    assert client.put("/v1/uploads/v.mp4", content=chunks(2500)).status_code == 201
    form = {name: (name, b" " * 2500) for name in ("video", "audio", "reference")}
    assert client.post("/v1/jobs", files=form).status_code == 201
    service.uploads.clear()
    for content in (b" " * 3001, chunks(5000)):
        answer = client.put("/v1/uploads/v.mp4", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert client.post("/v1/jobs", files={"video": ("v", b" " * 3001)}).status_code == 413
    assert service.uploads == {}


def test_a_hundred_gigabytes_are_refused_before_any_is_sent(tmp_path: Path) -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("the body was asked for")

    headers = [(b"content-length", str(100 << 30).encode())]
    assert status_of(tmp_path, Limits(), never, headers) == 413
    headers = [(b"content-length", b"9" * 5000)]
    assert status_of(tmp_path, Limits(), never, headers) == 413


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async def silent() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    assert status_of(tmp_path, Limits(upload_seconds=0.01), silent) == 408


def test_a_body_that_trickles_is_given_up(tmp_path: Path) -> None:
    sent = 0

    async def trickle() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert status_of(tmp_path, Limits(upload_seconds=0.02), trickle) == 408
    assert sent < SLOWEST


def status_of(
    root: Path, limits: Limits, receive: Any, headers: list[tuple[bytes, bytes]] | None = None
) -> int:
    """The status with which an upload is answered whose messages come from ``receive``."""

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    answered: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "PUT", "path": "/v1/uploads/v", "headers": headers or []}
    guarded = BodyLimit(reader, ServerSettings(root=root, limits=limits))
    asyncio.run(guarded(scope, receive, send))  # type: ignore[arg-type]
    status: int = answered[0]["status"]
    return status


def test_nothing_speaks_over_a_websocket(tmp_path: Path) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def fail(*_: object) -> None:
        raise AssertionError("it was let in")

    doors = Doors(fail, ServerSettings(root=tmp_path))
    asyncio.run(doors({"type": "websocket", "path": "/", "headers": []}, fail, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]
