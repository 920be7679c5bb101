"""Attacks on what is another user's, or nobody's business: nothing is shown, nothing is written."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator

import pytest

from tests.support.attacked import Answer, Attacked, attacked
from tests.support.media_factory import make_video

NOBODY = "0" * 32
ASKED = (
    *(("GET", "/v1/jobs/{id}"), ("DELETE", "/v1/jobs/{id}"), ("GET", "/v1/jobs/{id}/video")),
    *(("GET", "/v1/uploads/{id}/file"), ("DELETE", "/v1/uploads/{id}"), ("GET", "/v1/tasks/{id}")),
    ("GET", "/v1/tasks/{id}/files/{name}"),
)
TRAVERSALS = (
    *("..", "../..", "../../secret.mp4", "..%2F..%2Fsecret.mp4", "%2e%2e%2f%2e%2e%2fsecret.mp4"),
    *("..%252f..%252fsecret.mp4", "..%5C..%5Csecret.mp4", "%00", "..%00", "....//secret.mp4"),
    *("%2Fetc%2Fpasswd", "/etc/passwd", "file:%2F%2F%2Fetc%2Fpasswd", "%c0%ae%c0%ae%2fsecret.mp4"),
)
QUERIES = (
    "' or '1'='1",
    "1; drop table jobs; --",
    "%",
    "_" * 32,
    "' union select * from uploads--",
)
ODD_IDS = (*QUERIES, NOBODY.upper(), f"{NOBODY} ", f" {NOBODY}", "1", "-1", "null", "*", "a" * 9999)
SECRET_ENVIRONMENT = "/proc/self/environ"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("access")
    with attacked(folder, make_video(folder / "clip.mp4")) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_written(server: Attacked) -> Iterator[None]:
    with server.unchanged():
        yield


def routes(server: Attacked) -> list[tuple[str, str]]:
    """Method and path of every route that the server describes."""
    paths = server.ask("GET", "/openapi.json").json["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def routes_of(server: Attacked, kind: str) -> list[tuple[str, str]]:
    """Those that ask for something that is there: with PUT any name may be given."""
    found = [route for route in routes(server) if f"/v1/{kind}/{{" in route[1]]
    return [(method, path) for method, path in found if method != "PUT"]


def filled(path: str, one: str = NOBODY, name: str = "a.png") -> str:
    """one: for the id; name: for what may follow it."""
    return re.sub(r"\{\w+\}", name, re.sub(r"\{\w+\}", one, path, count=1))


def quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def test_another_users_job_or_upload_looks_on_every_route_like_one_that_does_not_exist(
    server: Attacked,
) -> None:
    known = {"jobs": server.made["job of alice"], "uploads": server.made["video of alice"]}
    asked = [(kind, route) for kind in known for route in routes_of(server, kind)]
    assert len(asked) >= 15
    for kind, (method, path) in asked:
        hers = server.ask(method, filled(path, known[kind]), user="bob")
        none = server.ask(method, filled(path), user="bob")
        assert (hers.status, hers.code) == (none.status, none.code) == (404, "not_found"), path
        assert hers.body.replace(known[kind].encode(), NOBODY.encode()) == none.body


def test_another_users_upload_is_in_no_job_and_no_task(server: Attacked) -> None:
    hers, his = server.made["video of alice"], server.made["video of bob"]
    for field in ("video", "audio", "reference"):
        answer = server.job("bob", **{field: hers})
        assert (answer.status, answer.json["field"]) == (404, field)
    for path in ("/v1/previews", "/v1/estimates"):
        for field in ("video", "audio", "reference"):
            data = {"video": his, field: hers}
            assert server.ask("POST", path, user="bob", data=data).status == 404, (path, field)
    data = {"video": hers}
    assert server.ask("POST", "/v1/speakers", user="bob", data=data).status == 404


def test_another_users_jobs_are_not_listed_nor_found_by_their_place(server: Attacked) -> None:
    listed = server.ask("GET", "/v1/jobs", user="bob").json["data"]
    assert [job["id"] for job in listed] == [server.made["job of bob"]]
    place = server.ask("GET", f"/v1/jobs?after={server.made['job of alice']}", user="bob")
    assert (place.status, place.code) == (404, "not_found")


def test_another_users_key_and_client_id_lead_to_no_job_of_theirs(server: Attacked) -> None:
    key = {"Idempotency-Key": "the-same-key"}
    made = {}
    for user in ("alice", "bob"):
        data = {"video": server.made[f"video of {user}"]}
        made[user] = server.ask("POST", "/v1/jobs", user=user, data=data, headers=key)
        again = server.ask("PUT", "/v1/jobs/the-same-id", user=user, data=data)
        assert again.status == made[user].status == 201
        for one in (made[user], again):
            assert server.ask("DELETE", f"/v1/jobs/{one.json['id']}", user=user).status == 204
    assert made["alice"].json["id"] != made["bob"].json["id"]


def test_nobody_is_let_in_without_a_token_on_any_route(server: Attacked) -> None:
    for method, path in routes(server):
        if path == "/healthz":
            continue
        for headers in (
            {},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer nobody-has-this-token"},
            {"Authorization": "Basic YWxpY2U6YWxpY2UtaGFzLXRoaXMtdG9rZW4="},
            {"Cookie": "latentsync_session=alice"},
        ):
            server.forget_failures()
            answer = server.ask(method, filled(path), user=None, headers=headers)
            assert (answer.status, answer.code) == (401, "unauthorized"), (method, path)
    server.forget_failures()
    assert set(server.ask("GET", "/healthz", user=None).json) == {"status"}


@pytest.mark.parametrize("place", TRAVERSALS)
def test_no_parameter_of_a_path_leads_out_of_the_servers_folder(
    server: Attacked, place: str
) -> None:
    for method, path in ASKED:
        answer = server.ask(method, filled(path, place))
        assert answer.status in (400, 404, 405, 422), (method, path)
    task = f"/v1/tasks/{NOBODY}/files/"
    assert server.ask("GET", task + place).status in (404, 405)


@pytest.mark.parametrize("text", ODD_IDS, ids=range(len(ODD_IDS)))
def test_an_id_is_compared_and_never_part_of_a_query_or_a_path(server: Attacked, text: str) -> None:
    for method, path in ASKED:
        assert server.ask(method, filled(path, quoted(text))).status == 404
    assert server.ask("GET", f"/v1/jobs?after={quoted(text)}").status in (404, 422)
    assert server.ask("GET", f"/v1/jobs?state={quoted(text)}").status == 422
    assert server.job(video=text).status in (404, 422)
    assert len(server.ask("GET", "/v1/jobs").json["data"]) == 1


@pytest.mark.parametrize(
    "key", ("", " ", "a b", "../../x", "a" * 129, "a/b", "ä", "a\x01", "' or 1=1 --", "{}")
)
def test_a_key_or_client_id_that_is_no_plain_word_is_refused(server: Attacked, key: str) -> None:
    data = {"video": server.made["video of alice"]}
    headers = {"Idempotency-Key": key.encode("utf-8").decode("latin-1")}
    answer = server.ask("POST", "/v1/jobs", data=data, headers=headers)
    assert answer.status == 400 or (not key.strip() and answer.status == 422)
    if key:
        put = server.ask("PUT", f"/v1/jobs/{quoted(key)}", data=data)
        assert put.status in (400, 404, 405)


def test_ids_cannot_be_guessed(server: Attacked) -> None:
    ids = [uuid.UUID(hex=one) for one in server.made.values()]
    assert {one.version for one in ids} == {4}  # 122 random bits
    assert len({str(one)[:8] for one in ids}) == len(ids)


def used(server: Attacked, place: object) -> Answer:
    return server.job(video=str(place))


def test_only_files_below_the_allowed_folders_may_be_named(server: Attacked) -> None:
    allowed, secret = server.allowed, server.allowed.parent / "secret.mp4"
    (allowed / "link.mp4").symlink_to(secret)
    (allowed / "linked").symlink_to(secret.parent)
    (allowed / "passwd").symlink_to("/etc/passwd")
    (allowed / "round").symlink_to(allowed / "round")
    os.mkfifo(allowed / "pipe.mp4")
    (allowed.parent / "allowed-too").mkdir()
    (allowed.parent / "allowed-too/a.mp4").write_bytes(secret.read_bytes())
    places = (
        *(secret, allowed, allowed / "nothing.mp4", allowed / "../secret.mp4"),
        *(allowed / "link.mp4", allowed / "linked/secret.mp4", allowed / "passwd"),
        *(allowed / "round", allowed / "pipe.mp4", f"{allowed}-too/a.mp4"),
        *("allowed/link.mp4", "secret.mp4", "~/secret.mp4", f"file://{secret}", "/dev/zero"),
        *(SECRET_ENVIRONMENT, "/proc/self/fd/0", server.settings.root / "server.sqlite"),
        *(f"{allowed}/link.mp4\0", f"//{secret}", f"{allowed}/./../secret.mp4", "\\\\host\\a.mp4"),
    )
    try:
        said = {used(server, place).body for place in places if "\0" not in str(place)}
        refused = {used(server, place).status for place in places}
    finally:
        for path in (*allowed.iterdir(), *(allowed.parent / "allowed-too").iterdir()):
            path.unlink()
    assert refused <= {422, 400}
    assert {b"allowed-too", b"secret"} & said == set()


def test_the_same_is_said_of_a_file_outside_that_is_there_and_one_that_is_not(
    server: Attacked,
) -> None:
    there, nowhere = used(server, "/etc/passwd"), used(server, "/etc/nothing")
    assert (there.status, there.body) == (422, nowhere.body)


@pytest.mark.parametrize(
    "settings",
    (
        {"restore.name": "os:system"},
        {"restore": {"name": "builtins:exec"}},
        {"superres": "my_module:load"},
        {"generate.name": "my_module:load"},
        {"face.detector": "my_detector:load"},
        {"restore.checkpoint": "/etc/passwd"},
        {"restore.reference": "/etc/passwd"},
        {"input": "/etc/passwd"},
        {"output.path": "/etc/x.mp4"},
        {"weights.folders": ["/etc"]},
        {"weights.offline": False},
        {"weights.accept": "all"},
        {"output.overwrite": True},
        {"output.sign.key": "/etc/ssl/private/key.pem"},
        {"runtime.device": "cuda:7"},
        {"runtime.threads": 10000},
        {"output.segments": "/etc/a.yaml"},
        {"face.speaker": "/etc/passwd"},
        {"face.speaker": "portrait.png"},
        {"restore.scale": "${oc.env:HOME}"},
        {"restore.name": "${oc.env:HOME}"},
        {"__class__": "x"},
        {"restore.__init__": "x"},
        {"": 1},
        {"a" * 10_000: 1},
        {"restore.name": "GFPGAN\0"},
        {"output.fps": "25; rm -rf /"},
        {"output.aigc.producer": "x" * 100_000},
    ),
    ids=str,
)
def test_no_setting_loads_code_or_names_a_file(
    server: Attacked, settings: dict[str, object]
) -> None:
    answer = server.job(settings=settings)
    assert answer.status in (400, 422), answer
    assert answer.code in ("setting", "invalid", "invalid_json")


@pytest.mark.parametrize("speaker", ("/etc/passwd", "portrait.png", "../../a.png", "x" * 201, "\0"))
def test_a_speaker_is_no_file(server: Attacked, speaker: str) -> None:
    assert server.job(speaker=speaker).status in (400, 422)


def test_weights_are_not_fetched_without_their_licence(server: Attacked) -> None:
    keys = [
        model["key"]
        for model in server.ask("GET", "/v1/models").json["data"]
        if not model["installed"] and not model["accepted"]
    ]
    assert keys
    for accepted in ([], ["all"], ["*"], [""]):
        data = {"keys": keys[:1], "accept_licences": accepted}
        answer = server.ask("POST", "/v1/models/fetch?wait=20", data=data)
        assert answer.status == 422 or answer.json["state"] == "failed", answer
    for key in ("../../etc/passwd", "os:system", "https://media.example/a.pth", ""):
        answer = server.ask("POST", "/v1/models/fetch", data={"keys": [key]})
        assert answer.status in (404, 422)
