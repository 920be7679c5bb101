"""Tokens, users, and the login of browsers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from latentsync.errors import ConfigError
from latentsync.server.http import auth
from latentsync.server.http.auth import FAILURE_SECONDS, FAILURES, Gatekeeper, hashed, load_keys
from latentsync.server.settings import ServerSettings
from tests.support.served import TOKEN, job_of, served

BEARER = {"Authorization": f"Bearer {TOKEN}"}
HTML = {"Accept": "text/html,*/*"}


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return served(tmp_path, token=TOKEN)[0]


def users_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "users.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_every_path_but_two_asks_for_the_token(client: TestClient) -> None:
    for path in ("/v1/jobs", "/v1/none", "/metrics", "/docs", "/openapi.json", "/", "/gradio_api"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/v1/jobs", headers=BEARER).status_code == 200
    assert client.get("/healthz").json() == {"status": "ok"}
    assert "queued" in client.get("/healthz", headers=BEARER).json()


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff"]
)
def test_anything_but_the_token_is_refused(client: TestClient, header: str) -> None:
    given = {"Authorization": header.encode("latin-1")}
    assert client.get("/v1/jobs", headers=given).status_code == 401


def test_without_a_token_everybody_is_one_user(tmp_path: Path) -> None:
    client, service = served(tmp_path)
    job_of(client)
    assert {user for user, _ in service.made} == {"local"}


def test_users_do_not_see_each_other(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"token of berta, long").hexdigest()
    text = f"anna: token of anna, long\nberta: sha256:{digest}\n"
    client, service = served(tmp_path, users=users_file(tmp_path, text))
    anna = {"Authorization": "Bearer token of anna, long"}
    berta = {"Authorization": "Bearer token of berta, long"}
    client.headers.update(anna)
    job = job_of(client)["id"]
    assert {user for user, _ in service.made} == {"anna"}
    assert client.get(f"/v1/jobs/{job}").status_code == 200
    assert client.get(f"/v1/jobs/{job}", headers=berta).status_code == 404
    assert client.get("/v1/jobs", headers=berta).json()["data"] == []
    shown = {"Authorization": f"Bearer {digest}"}  # what the file says opens nothing
    assert client.get("/v1/jobs", headers=shown).status_code == 401


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("anna: a token of anna, long", 0o644, "chmod 600"),
        ("anna: short", 0o600, "at least 16 characters"),
        ("anna: 1234567890123456789", 0o600, "in quotes"),
        ("../anna: a token of anna, long", 0o600, "use letters"),
        ("local: a token of anna, long", 0o600, "is taken"),
        ("[anna]", 0o600, "write lines like"),
        ("a: b: c", 0o600, "write lines like"),
        ("", 0o600, "write lines like"),
    ],
)
def test_a_users_file_that_is_wrong_is_refused(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    path = users_file(tmp_path, text, mode)
    with pytest.raises(ConfigError) as caught:
        load_keys(ServerSettings(root=tmp_path, users=path))
    assert said in str(caught.value)
    assert "short" not in str(caught.value)
    assert "a token of" not in str(caught.value)


def test_a_browser_logs_in_and_out(client: TestClient) -> None:
    assert client.get("/", headers=HTML).headers["location"] == "/login"
    assert "<form" in client.get("/login").text
    answer = client.post("/login", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/v1/jobs").status_code == 200
    kept = dict(client.cookies)
    client.post("/logout")
    assert client.get("/v1/jobs", cookies=kept).status_code == 401


def test_a_wrong_token_is_told_on_the_form(client: TestClient) -> None:
    answer = client.post("/login", data={"token": "<script>"})
    assert answer.status_code == 401
    assert "No such token" in answer.text
    assert "<script" not in answer.text
    assert "set-cookie" not in answer.headers


def test_a_login_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Gatekeeper({"anna": hashed(TOKEN)})
    cookie = keeper.open_session("anna")
    assert keeper.session_user(cookie) == "anna"
    now = auth.time.monotonic()
    monkeypatch.setattr(auth.time, "monotonic", lambda: now + auth.SESSION_SECONDS + 1)
    assert keeper.session_user(cookie) is None


def test_many_wrong_tokens_have_to_wait_and_the_right_one_never(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    for _ in range(FAILURES):
        assert client.get("/v1/jobs", headers=wrong).status_code == 401
    for answer in (
        client.get("/v1/jobs", headers=wrong),
        client.post("/login", data={"token": "wrong"}),
    ):
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= FAILURE_SECONDS
    assert client.get("/v1/jobs", headers=BEARER).status_code == 200  # of the same address
    assert client.post("/login", data={"token": TOKEN}).status_code == 303
    client.cookies.clear()
    now = auth.time.monotonic()
    monkeypatch.setattr(auth.time, "monotonic", lambda: now + FAILURE_SECONDS + 1)
    assert client.get("/v1/jobs", headers=wrong).status_code == 401


def test_addresses_and_logins_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_ADDRESSES", 3)
    monkeypatch.setattr(auth, "SESSIONS", 3)
    keeper = Gatekeeper({"anna": hashed(TOKEN)})
    for number in range(9):
        keeper.user("wrong", f"192.0.2.{number}")
        keeper.open_session("anna")
    assert len(keeper.failures) == len(keeper.sessions) == 3
