"""Attacks with what surrounds a body: foreign pages, borrowed names, odd heads, ranges."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from latentsync.server.http import listening
from tests.support.attacked import TOKENS, Answer, Attacked, attacked, posted
from tests.support.media_factory import make_video


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("requests")
    video = make_video(folder / "clip.mp4")
    with attacked(folder, video) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_written(server: Attacked) -> Iterator[None]:
    with server.unchanged():
        yield
    server.forget_failures()


def test_a_page_of_another_site_changes_nothing(server: Attacked) -> None:
    """Whatever the browser adds on its own, and whatever kinds a form can send."""
    data = json.dumps({"video": server.made["video of alice"]})
    job = f"/v1/jobs/{server.made['job of alice']}"
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "http://[::1"):
        foreign = {"Origin": origin, "Content-Type": "application/json"}
        assert server.ask("POST", "/v1/jobs", body=data, headers=foreign).status == 403
        for method, path in (("DELETE", job), ("POST", f"{job}/cancel"), ("PUT", "/v1/uploads/a")):
            assert server.ask(method, path, body="", headers=foreign).status == 403
        preflight = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
        answer = server.ask("OPTIONS", job, headers=preflight)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        read = server.ask("GET", "/v1/jobs", headers={"Origin": origin})
        assert not [name for name in read.headers if name.startswith("access-control")]
    headers = {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}
    assert server.ask("POST", "/v1/jobs", body=data, headers=headers).status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert posted(server, data, kind).status == 415, kind


def test_a_name_that_was_made_to_point_here_is_not_answered(server: Attacked) -> None:
    for host in (
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:80"),
        *("", "[", "127.0.0.1@evil.example", "evil.example\\@127.0.0.1", "2130706433", "0x7f.1"),
    ):
        answer = server.ask("GET", "/v1/jobs", headers={"Host": host})
        assert (answer.status, answer.code) == (421, "wrong_host"), host
        assert server.ask("GET", "/healthz", user=None, headers={"Host": host}).status == 421


def test_forwarded_names_and_addresses_are_not_believed(server: Attacked) -> None:
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "10.0.0.1"}
    assert "evil.example" not in str(server.ask("GET", "/docs", headers=forwarded).headers)
    for number in range(15):  # each from another address, it says
        wrong = {"Authorization": "Bearer nobodys", "X-Forwarded-For": f"10.0.0.{number}"}
        last = server.ask("GET", "/v1/jobs", user=None, headers=wrong)
    assert last.status == 429


def test_a_header_does_not_change_the_method(server: Attacked) -> None:
    job = f"/v1/jobs/{server.made['job of alice']}"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert server.ask("GET", f"{job}?_method=DELETE", headers={name: "DELETE"}).status == 200
        posted = server.ask("POST", job, headers={name: "DELETE"}, body="_method=DELETE")
        assert posted.status == 405
    for method in ("TRACE", "CONNECT", "PATCH", "PROPFIND", "GETT"):
        assert server.ask(method, job).status in (400, 404, 405)
    assert server.ask("GET", job).json["state"] == "queued"


def test_a_cookie_that_somebody_else_chose_is_worth_nothing(server: Attacked) -> None:
    chosen = {"Cookie": "latentsync_session=chosen"}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    token = f"token={TOKENS['alice']}"
    login = server.ask("POST", "/login", user=None, body=token, headers={**chosen, **kind})
    cookie = login.headers["set-cookie"]
    assert "chosen" not in cookie
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert server.ask("GET", "/v1/jobs", user=None, headers=chosen).status == 401
    known = {"Cookie": cookie.partition(";")[0]}
    assert server.ask("GET", "/v1/jobs", user=None, headers=known).status == 200
    foreign = {**known, "Origin": "https://evil.example"}
    assert server.ask("POST", "/logout", user=None, headers=foreign).status == 403
    assert server.ask("POST", "/logout", user=None, headers=known).status == 303
    assert server.ask("GET", "/v1/jobs", user=None, headers=known).status == 401


def test_nobody_is_led_elsewhere_after_logging_in(server: Attacked) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Referer": "https://evil.example/"}
    for path in ("/login?next=https://evil.example", "/login?next=//evil.example"):
        body = f"token={TOKENS['alice']}&next=https://evil.example"
        answer = server.ask("POST", path, user=None, body=body, headers=kind)
        assert (answer.status, answer.headers["location"]) == (303, "/")
    for path in ("//evil.example/..", "/\\evil.example", "/%0d%0aLocation:%20//evil.example"):
        answer = server.ask("GET", path, user=None, headers={"Accept": "text/html"})
        assert answer.headers.get("location", "/login") == "/login"


def test_tokens_cannot_be_tried_without_end(server: Attacked) -> None:
    wrong = [
        server.ask("GET", "/v1/jobs", user=None, headers={"Authorization": f"Bearer {number:020}"})
        for number in range(12)
    ]
    assert [one.status for one in wrong] == [401] * 10 + [429] * 2
    assert 0 < int(wrong[-1].headers["retry-after"]) <= 60


def source(server: Attacked, ranges: str) -> Answer:
    path = f"/v1/uploads/{server.made['video of alice']}/file"
    return server.ask("GET", path, headers={"Range": ranges})


def test_a_file_is_not_sent_a_thousand_times_for_one_request(server: Attacked) -> None:
    whole = source(server, "pages=1-2")
    assert whole.status == 200
    size = len(whole.body)
    for ranges in (
        "bytes=" + ",".join(f"{number}-" for number in range(5000)),
        "bytes=" + ",".join(["0-"] * 1000),
        *("bytes=0-0,-1", "bytes=5-2", "bytes=--1", "bytes=a-b", "bytes=", "bytes=-"),
        *("bytes=0x0-0x1", "bytes=1e3-", f"bytes={'9' * 4000}-"),
    ):
        answer = source(server, ranges)
        assert answer.status in (200, 206, 416), ranges[:40]
        assert len(answer.body) <= size
        assert "multipart" not in answer.headers["content-type"]
    for ranges in (f"bytes={size}-", "bytes=999999999999-", "bytes=-0"):
        assert source(server, ranges).status == 416
    assert source(server, f"bytes=-{10 * size}").body == whole.body
    assert source(server, "bytes=10-19").body == whole.body[10:20]


@pytest.mark.parametrize(
    "head",
    (
        "GET /v1/jobs HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\nX: " + "a" * 70_000,
        "GET /v1/jobs HTTP/1.1\n" + "".join(f"X{n}: 1\n" for n in range(20_000)),
        "GET /" + "a" * 70_000 + " HTTP/1.1\nHost: 127.0.0.1\n\n",
        "GET /v1/jobs HTTP/1.1\nHost: 127.0.0.1\nHost: evil.example\n\n",
        "GET /v1/jobs HTTP/1.1\nHost : evil.example\n\n",
        "GET /v1/jobs HTTP/1.1\n\n",
        "GET /v1/jobs\n\n",
        "\x16\x03\x01\x02\x00\x01\n\n",
        "GET /v1/jobs HTTP/9.9\nHost: 127.0.0.1\n\n",
        "PUT /v1/uploads/a HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n"
        "Content-Length: 5\nContent-Length: 6\n\nabcdef",
        "PUT /v1/uploads/a HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n"
        "Transfer-Encoding: gzip, chunked\n\n5\nabcde\n0\n\n",
        "PUT /v1/uploads/a HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n"
        "Transfer-Encoding: chunked\n\nfffffffffffffffff\nabc",
    ),
    ids=range(12),
)
def test_a_head_that_is_no_plain_http_is_refused(server: Attacked, head: str) -> None:
    answer = server.raw(head)
    assert answer[9:12] in (b"400", b"401", b"408", b"421", b"431", b"501"), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1


def test_no_second_request_is_smuggled_in_a_body(server: Attacked) -> None:
    inner = "DELETE /v1/jobs/JOB HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n\n"
    inner = inner.replace("JOB", server.made["job of alice"])
    head = (
        "POST /v1/jobs HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n"
        f"Content-Type: application/json\nContent-Length: {len(inner) + 5}\n"
        "Transfer-Encoding: chunked\n\n0\n\n"
    )
    answer = server.raw(head + inner)
    assert b" 204 " not in answer
    assert server.ask("GET", f"/v1/jobs/{server.made['job of alice']}").status == 200


def test_a_connection_without_a_request_is_closed(
    server: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEADER_SECONDS", 0.2)
    begin = time.monotonic()
    assert server.raw("GET /v1/jobs HTTP/1.1\nHost: 127.0.0.1\nX: ", seconds=5) == b""
    assert time.monotonic() - begin < 3


def test_a_web_socket_is_not_opened(server: Attacked) -> None:
    head = (
        "GET /v1/jobs HTTP/1.1\nHost: 127.0.0.1\nConnection: Upgrade\nUpgrade: websocket\n"
        "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
    )
    assert b" 101 " not in server.raw(head)[:20]
