"""Reading a file from an https URL that a user gives."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest

from latentsync.server.errors import ApiError
from latentsync.server.internet.addresses import PUBLIC, Reach
from latentsync.server.internet.fetching import fetch
from latentsync.server.settings import Limits
from tests.support.loopback import Loopback, Served
from tests.support.secure import HOST, SecureLoopback

BODY = bytes(range(256)) * 1000
QUICK = Limits(upload=len(BODY), upload_seconds=0.3, disk=0)


def got(server: SecureLoopback, served: Served, target: Path, **changed) -> str:
    url = server.add("/a.mp4", served)
    given = {"limits": QUICK, "reach": server.reach()} | changed
    return asyncio.run(fetch(url, target, **given))


def refusal(served: Served, folder: Path, status: int = 422, **changed) -> str:
    """What is answered; nothing is left behind."""
    with SecureLoopback() as server, pytest.raises(ApiError) as caught:
        got(server, served, folder / "file.mp4", **changed)
    assert caught.value.status == status
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_the_file_arrives_whole_and_is_named_as_in_its_url(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "file.mp4"
    with SecureLoopback() as server:
        url = server.add("/videos/My clip.mp4", Served(BODY)).replace(" ", "%20") + "?key=1"
        name = asyncio.run(
            fetch(url, target, QUICK, lambda *done: seen.append(done), reach=server.reach())
        )
    assert (name, target.read_bytes()) == ("My clip.mp4", BODY)
    assert seen[-1] == (len(BODY), len(BODY))
    assert [path.name for path in tmp_path.iterdir()] == ["file.mp4"]


def test_the_name_and_nothing_of_this_machine_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Loopback() as proxy, SecureLoopback() as server:
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.address)
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {HOST} login me password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        got(server, Served(BODY), tmp_path / "file.mp4")
        (asked,) = server.requests()
        assert proxy.asked == []
    assert asked.headers["host"] == f"{HOST}:{server.port}"
    assert asked.headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "referer"} & set(asked.headers)


def test_a_name_with_a_path_in_it_is_no_path(tmp_path: Path) -> None:
    with SecureLoopback() as server:
        server.add("/../../etc/\r\n\0x.mp4", Served(BODY))
        url = server.url("/..%2F..%2Fetc%2F%0D%0A%00x.mp4")
        name = asyncio.run(fetch(url, tmp_path / "file", QUICK, reach=server.reach()))
    assert name == "x.mp4"


def test_an_address_that_does_not_answer_is_followed_by_the_next(tmp_path: Path) -> None:
    with SecureLoopback() as server:
        for addresses in (("127.0.0.2", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")):
            both = server.reach(*addresses)  # the server is only at one of them
            assert got(server, Served(BODY), tmp_path / addresses[0], reach=both) == "a.mp4"


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with SecureLoopback() as server, pytest.raises(ApiError, match="leads on to another one"):
        got(server, Served(BODY, redirect=server.url("/b.mp4")), tmp_path / "file.mp4")
    assert [asked.path for asked in server.asked] == ["/a.mp4"]
    assert list(tmp_path.iterdir()) == []


def test_a_server_without_the_certificate_of_the_name_is_refused(tmp_path: Path) -> None:
    with SecureLoopback() as server:
        known = server.reach()
        url = server.add("/a.mp4", Served(BODY))
        for wrong, reach in (
            (url, dataclasses.replace(known, trust=None)),
            (url.replace(HOST, "other.example"), known),
        ):
            with pytest.raises(ApiError, match="certificate is not valid"):
                asyncio.run(fetch(wrong, tmp_path / "file.mp4", QUICK, reach=reach))
    assert server.asked == []


def test_a_host_of_this_machine_is_not_connected_to(tmp_path: Path) -> None:
    with SecureLoopback() as server:
        strict = dataclasses.replace(server.reach(), local=False)
        with pytest.raises(ApiError, match="no public address"):
            got(server, Served(BODY), tmp_path / "file.mp4", reach=strict)
    assert server.asked == []


def test_the_address_that_was_checked_is_connected_to_whatever_the_name_says_later(
    tmp_path: Path,
) -> None:
    """No lookup follows the one that was checked."""
    with SecureLoopback() as server:
        known, asked = server.reach(), []

        def lookup(host: str, port: int) -> tuple[str, ...]:
            asked.append(host)
            return ("127.0.0.1",) if len(asked) == 1 else ("127.0.0.9",)

        rebound = dataclasses.replace(known, lookup=lookup)
        got(server, Served(BODY), tmp_path / "file.mp4", reach=rebound)
    assert asked == [HOST]


def test_a_file_that_is_too_large_is_refused_before_and_while_it_is_read(tmp_path: Path) -> None:
    claim = Served(BODY, length=100 << 30)
    assert "send a smaller one" in refusal(claim, tmp_path, 413)
    unstated = Served(BODY * 2, length=-1)
    assert "send a smaller one" in refusal(unstated, tmp_path, 413)


def test_a_file_that_is_shorter_than_stated_is_refused(tmp_path: Path) -> None:
    assert "connection fails" in refusal(Served(BODY, cut_after=1000), tmp_path)


def test_more_than_stated_is_not_read(tmp_path: Path) -> None:
    with SecureLoopback() as server:
        got(server, Served(BODY, length=1000), tmp_path / "file.mp4")
    assert (tmp_path / "file.mp4").read_bytes() == BODY[:1000]


def test_a_server_that_stalls_or_trickles_is_given_up(tmp_path: Path) -> None:
    assert "too long" in refusal(Served(BODY, stall_after=1000), tmp_path)
    trickle = Served(BODY, block=100, pause=0.05)
    patient = dataclasses.replace(QUICK, upload_seconds=9)
    begin = time.monotonic()
    assert "too long" in refusal(trickle, tmp_path, total_seconds=0.3, limits=patient)
    assert time.monotonic() - begin < 5


def test_an_answer_that_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "answers 403" in refusal(Served(BODY, failures=[403]), tmp_path)
    assert "answers 206" in refusal(Served(BODY, failures=[206]), tmp_path)
    packed = Served(BODY, headers={"Content-Encoding": "gzip"})
    assert "compresses" in refusal(packed, tmp_path)


def test_nothing_is_read_where_the_disk_would_be_full(tmp_path: Path) -> None:
    wanted = dataclasses.replace(QUICK, disk=1 << 60)
    assert "stay free" in refusal(Served(BODY), tmp_path, 507, limits=wanted)


def test_a_server_that_is_offline_reads_nothing(tmp_path: Path) -> None:
    assert "upload the file" in refusal(Served(BODY), tmp_path, offline=True)


def test_what_was_read_of_a_file_that_nobody_waits_for_any_more_is_deleted(tmp_path: Path) -> None:
    async def cancelled(url: str, reach: Reach) -> None:
        slow = dataclasses.replace(QUICK, upload_seconds=5)
        reading = asyncio.create_task(fetch(url, tmp_path / "file.mp4", slow, reach=reach))
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()

    with SecureLoopback() as server:
        url = server.add("/a.mp4", Served(BODY, stall_after=1000))
        asyncio.run(cancelled(url, server.reach()))
    assert list(tmp_path.iterdir()) == []


def test_what_servers_reach_is_public_and_https_unless_a_test_says_otherwise() -> None:
    assert (PUBLIC.ports, PUBLIC.local, PUBLIC.trust) == ({443}, False, None)
