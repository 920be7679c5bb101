"""Attacks with bodies that are odd, and with more requests than anybody needs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from latentsync.server.http import listening
from latentsync.server.http.routes import jobs
from tests.support.attacked import TOKENS, Attacked, attacked, posted
from tests.support.media_factory import make_video

QUEUE, QUEUE_OF_USER = 6, 4
T = TypeVar("T")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("requests")
    video = make_video(folder / "clip.mp4")
    with attacked(folder, video, queue=QUEUE, queue_of_user=QUEUE_OF_USER) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_written(server: Attacked) -> Iterator[None]:
    with server.unchanged():
        yield
    server.forget_failures()


def test_a_huge_body_is_not_read(server: Attacked) -> None:
    for path in ("/v1/jobs", "/v1/previews", "/v1/models/fetch", "/v1/speakers", "/login"):
        head = (
            f"POST {path} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n"
            f"Content-Type: application/json\nContent-Length: {2 << 20}\n\n"
        )
        assert server.raw(head)[9:12] == b"413", path


def test_json_that_is_nested_without_end_is_refused(server: Attacked) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        depth = 100_000
        inner = opening * depth + "1" + closing * depth
        for body in (inner, f'{{"video": {inner}}}', f'{{"video": "x", "settings": {inner}}}'):
            assert posted(server, body).status in (400, 422)


@pytest.mark.parametrize(
    "body",
    (
        *("", "{", "[]", "null", "1", '"x"', "{}}", "{'video': 1}", "\x00", '{"video": "a\x00"}'),
        *('{"video": NaN}', '{"video": "a", "priority": NaN}', '{"video":"a","priority":Infinity}'),
        *('{"video": "a", "priority": 1e999}', '{"video": "\\ud800"}', '{"video": "\\u0000"}'),
        '{"video": "a", "priority": ' + "9" * 5000 + "}",
    ),
    ids=range(17),
)
def test_what_is_no_json_is_refused(server: Attacked, body: str) -> None:
    assert posted(server, body).status in (400, 422)
    assert posted(server, body.encode("utf-16")).status in (400, 415, 422)


def test_a_value_of_another_type_is_refused(server: Attacked) -> None:
    wrong = {
        "video": (1, None, True, [], {}, ["a"], "", "x" * 5000),
        "audio": (1, [], {}, ""),
        "settings": (1, "x", [], [1], {"restore.scale": [1]}, {"a": {"b": {"c": 1}}}),
        "name": (1, [], {}, "x" * 201),
        "priority": ("high", 1.5, 10**400, -(10**9), [], True),
        "evaluate": ("perhaps", 2, [], {}),
        "webhook": (1, [], {}, "x" * 5000),
        "speaker": (1, [], {}),
        "constructor": (1,),
        "__proto__": ({"admin": True},),
        "user": ("bob",),
        "id": ("0" * 32,),
    }
    for field, values in wrong.items():
        for value in values:
            data = {"video": server.made["video of alice"], field: value}
            answer = server.ask("POST", "/v1/jobs", data=data)
            if answer.status == 201 and (field, value) == ("priority", True):
                assert server.ask("DELETE", f"/v1/jobs/{answer.json['id']}").status == 204
                continue
            assert answer.status in (400, 422), (field, value)
            assert len(answer.body) < 2000


def test_too_many_settings_or_restorers_are_refused(server: Attacked) -> None:
    video = server.made["video of alice"]
    many = {f"a{number}": 1 for number in range(20_000)}
    assert server.job(settings=many).status == 422
    data = {"video": video, "restorers": ["Detail"] * 1000, "seconds": 0}
    assert server.ask("POST", "/v1/previews", data=data).status == 422
    for second in (-1, 1e300, "now", None):
        data = {"video": video, "seconds": second}
        assert server.ask("POST", "/v1/previews", data=data).status == 422


@pytest.mark.parametrize(
    "query",
    ("limit=0", "limit=-1", "limit=101", "limit=1e9", "limit=a", "state=all", "after=" + "a" * 201),
)
def test_a_list_is_not_as_long_as_somebody_likes(server: Attacked, query: str) -> None:
    assert server.ask("GET", f"/v1/jobs?{query}").status in (404, 422)


def test_a_user_queues_only_so_many_jobs_and_others_go_on(server: Attacked) -> None:
    answers = [server.job(name=f"job {number}") for number in range(QUEUE_OF_USER + 1)]
    made = [one.json["id"] for one in answers if one.status == 201]
    try:
        assert len(made) == QUEUE_OF_USER - 1
        assert {one.status for one in answers[len(made) :]} == {429}
        assert int(answers[-1].headers["retry-after"]) > 0
        his = server.job("bob")
        assert his.status == 201
        assert server.ask("DELETE", f"/v1/jobs/{his.json['id']}", user="bob").status == 204
    finally:
        for one in made:
            assert server.ask("DELETE", f"/v1/jobs/{one}").status == 204


def test_the_same_key_with_another_request_is_refused_and_with_the_same_makes_nothing(
    server: Attacked,
) -> None:
    video, key = server.made["video of alice"], {"Idempotency-Key": "k"}
    first = server.ask("POST", "/v1/jobs", data={"video": video}, headers=key)
    again = server.ask("POST", "/v1/jobs", data={"video": video}, headers=key)
    other = server.ask("POST", "/v1/jobs", data={"video": video, "name": "x"}, headers=key)
    assert (first.status, again.status, other.status) == (201, 200, 409)
    assert again.json["id"] == first.json["id"]
    assert server.ask("DELETE", f"/v1/jobs/{first.json['id']}").status == 204


def test_a_user_watches_only_so_many_jobs_at_once(
    server: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "STREAMS", 3)
    watching = [watch(server, "alice") for _ in range(5)]
    assert [status for _, status in watching] == [b"200"] * 3 + [b"429"] * 2
    others, status = watch(server, "bob")
    assert status == b"200"
    for one in (*(one for one, _ in watching), others):
        one.close()
    again, status = soon(lambda: watch(server, "alice"), lambda found: found[1] == b"200")
    assert status == b"200"
    again.close()


def watch(server: Attacked, user: str) -> tuple[socket.socket, bytes]:
    """The connection, and the status of the answer."""
    one = socket.create_connection(("127.0.0.1", server.port), 5)
    job, token = server.made[f"job of {user}"], TOKENS[user]
    head = f"GET /v1/jobs/{job}/events HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {token}"
    one.sendall(f"{head}\n\n".replace("\n", "\r\n").encode())
    answer = b""
    while b"data:" not in answer and b"code" not in answer:
        answer += one.recv(65536)
    return one, answer[9:12]


def soon(ask: Callable[[], T], good: Callable[[T], bool]) -> T:
    """What is found, once it is good."""
    for _ in range(50):
        if good(found := ask()):
            break
        time.sleep(0.05)
    return found


def test_a_user_waits_for_only_so_many_things_at_once(server: Attacked) -> None:
    """Of previews for one, as nobody looks at the older ones any more."""
    data = {"video": server.made["video of alice"]}
    previews = [server.ask("POST", "/v1/previews", data=data).json["id"] for _ in range(30)]
    states = {server.ask("GET", f"/v1/tasks/{one}").json["state"] for one in previews[:-1]}
    assert states == {"cancelled"}
    people = [server.ask("POST", "/v1/speakers", data=data) for _ in range(25)]
    assert people[0].status == 202
    assert (people[-1].status, people[-1].code) == (429, "too_many_tasks")
    assert int(people[-1].headers["retry-after"]) > 0


def test_an_error_says_nothing_of_the_inside(server: Attacked) -> None:
    folder = str(Path(listening.__file__).parents[2])
    for answer in (
        server.ask("GET", "/nothing"),
        server.ask("GET", "/v1/nothing"),
        server.ask("DELETE", "/v1/jobs"),
        server.job(video="/etc/passwd"),
        server.job(settings={"a.b": 1}),
        posted(server, "{"),
    ):
        assert answer.code
        text = answer.body.decode()
        assert "Traceback" not in text and folder not in text
        assert str(server.settings.root) not in text
        assert "server" not in answer.headers
