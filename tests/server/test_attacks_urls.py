"""Attacks with URLs: the server is not made to ask what only it can reach, for nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support.attacked import Attacked, attacked
from tests.support.media_factory import make_video

INSIDE = (
    *("https://127.0.0.1/", "https://localhost/", "https://127.1/", "https://2130706433/"),
    *(
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
    ),
    *("https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://0/"),
    *("https://10.0.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://localhost./"),
    *("https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://①②⑦.⓪.⓪.①/"),
)
ODD = (
    *("http://127.0.0.1/", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:25/_x"),
    *("https://user:password@127.0.0.1/", "https://media.example@127.0.0.1/", "https://"),
    *("https://127.0.0.1:22/", "https://127.0.0.1:7860/v1/jobs", "data:video/mp4;base64,AAAA"),
    *("https://127.0.0.1\\@media.example/", "https://media.example:443:22/", "HTTP://[::1]/"),
    *("https://media.example/\r\nX: y", "concat:https://127.0.0.1/|/etc/passwd", "hls+https://a/"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("urls")
    with attacked(folder, make_video(folder / "clip.mp4")) as server:
        yield server


@pytest.fixture
def no_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of strangers lead to this machine, without asking anybody."""
    real = socket.getaddrinfo

    def look_up(host: str, *rest: object, **more: object) -> list[tuple]:
        if not host.endswith(".example"):
            return real(host, *rest, **more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize("url", (*INSIDE, *ODD, "https://rebound.example/"))
@pytest.mark.usefixtures("no_lookups")
def test_a_url_leads_nowhere_inside(server: Attacked, url: str) -> None:
    video = server.made["video of alice"]
    with server.unchanged():
        for field in ("video", "audio", "reference", "webhook"):
            data = {"video": video, field: url}
            answer = server.ask("POST", "/v1/jobs", data=data)
            assert answer.status in (400, 422), field
            assert b"password" not in answer.body
    assert len(server.ask("GET", "/v1/jobs").json["data"]) == 1


def test_no_other_route_reads_a_url_less_carefully(server: Attacked) -> None:
    url, video = INSIDE[0], server.made["video of alice"]
    with server.unchanged():
        for path in ("/v1/speakers", "/v1/previews", "/v1/estimates"):
            assert server.ask("POST", path, data={"video": url}).code == "url", path
        for field in ("audio", "webhook"):
            data = {"video": video, field: url}
            assert server.ask("PUT", "/v1/jobs/mine", data=data).code == "url", field


def test_what_is_inside_is_not_told_apart_from_what_is_not_there(server: Attacked) -> None:
    said = {
        server.job(video=f"https://{host}/").json["message"].replace(host, "HOST")
        for host in ("localhost", "127.0.0.1", "10.0.0.1", "10.255.255.1", "nothing.invalid")
    }
    assert len(said) == 1
