"""A download ends with the right file or without one, and nothing is fetched twice."""

from __future__ import annotations

import email.utils
import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentsync.weights.download import RetryPolicy, SourceError
from tests.support.fetching import (
    BODY,
    OTHER,
    QUICK,
    SHA256,
    SIZE,
    Bar,
    get,
    names_in,
    part_of,
)
from tests.support.loopback import ENDLESS, Loopback, Served


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "net.pth"


def leave_part(target: Path, content: bytes) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(content)


# --- the plain way ---


@pytest.mark.parametrize("known", [{}, {"sha256": None}, {"size": None}])
def test_a_file_arrives_whole_and_alone(server, target, known) -> None:
    bar = get(server.add("/net.pth", Served(BODY)), target, **known)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["net.pth"]
    assert (bar.total, bar.shown) == (0 if known == {"size": None} else SIZE, SIZE)
    assert "latentsync" in server.asked[0].headers["user-agent"]


def test_an_existing_file_is_not_requested(server, target) -> None:
    url = server.add("/net.pth", Served(BODY))
    get(url, target)
    get(url, target)
    assert len(server.asked) == 1


def test_a_damaged_file_that_is_there_is_replaced(server, target) -> None:
    target.parent.mkdir()
    target.write_bytes(OTHER)
    get(server.add("/net.pth", Served(BODY)), target)
    assert target.read_bytes() == BODY


def test_a_redirect_is_followed_and_keeps_the_token_at_home(server, target) -> None:
    with Loopback() as elsewhere:
        there = elsewhere.add("/store/1", Served(BODY))
        url = server.add("/net.pth", Served(b"", redirect=there))
        get(url, target, headers={"Authorization": "Bearer secret"})
        assert server.asked[0].headers["authorization"] == "Bearer secret"
        assert "authorization" not in elsewhere.asked[0].headers
    assert target.read_bytes() == BODY


def test_the_proxy_of_the_environment_is_used(server, target, monkeypatch) -> None:
    server.add("/net.pth", Served(BODY))
    monkeypatch.setenv("http_proxy", server.address)
    get("http://weights.invalid/net.pth", target)
    assert server.asked[0].target == "http://weights.invalid/net.pth"


# --- what is cut off goes on where it stopped ---


@pytest.mark.parametrize("after", [1, 400_000, SIZE - 1])
def test_a_cut_is_resumed_at_the_byte_it_happened_at(server, target, after: int) -> None:
    bar = get(server.add("/net.pth", Served(BODY, cut_after=after)), target)
    assert [asked.range for asked in server.asked] == [None, f"bytes={after}-"]
    assert server.sent() == SIZE == bar.shown
    assert target.read_bytes() == BODY


def test_each_new_byte_resets_the_retries(server, target) -> None:
    get(server.add("/net.pth", Served(BODY, cut_after=100_000, cuts=ENDLESS)), target)
    assert len(server.asked) == 10 > QUICK.attempts
    assert server.sent() == SIZE


def test_from_a_server_without_ranges_the_whole_file_is_requested_again(server, target) -> None:
    bar = get(server.add("/net.pth", Served(BODY, ranges=False, cut_after=400_000)), target)
    assert server.sent() == SIZE + 400_000
    assert bar.shown == SIZE
    assert target.read_bytes() == BODY


def test_a_server_without_parts_that_cuts_each_time_is_given_up(server, target) -> None:
    url = server.add("/net.pth", Served(BODY, ranges=False, cut_after=400_000, cuts=ENDLESS))
    with pytest.raises(SourceError, match=r"ended after 400,000 of 1,000,000 bytes, 3 times"):
        get(url, target)
    assert not target.exists()


def test_a_part_of_a_process_that_crashed_is_resumed(server, target) -> None:
    leave_part(target, BODY[:700_000])
    bar = get(server.add("/net.pth", Served(BODY)), target)
    assert server.sent() == 300_000
    assert bar.shown == SIZE
    assert names_in(target.parent) == ["net.pth"]


def test_a_part_that_was_complete_needs_no_request(server, target) -> None:
    leave_part(target, BODY)
    get(server.add("/net.pth", Served(BODY)), target)
    assert not server.asked


def test_a_part_that_was_complete_is_found_so_without_knowing_the_size(server, target) -> None:
    leave_part(target, BODY)
    get(server.add("/net.pth", Served(BODY)), target, size=None)
    assert [asked.status for asked in server.asked] == [416]


@pytest.mark.parametrize(
    "garbage", [OTHER[:600_000], OTHER, BODY + b"!"], ids=["short", "full", "long"]
)
@pytest.mark.parametrize("size", [SIZE, None])
def test_a_damaged_part_is_downloaded_again_once(server, target, garbage, size) -> None:
    leave_part(target, garbage)
    bar = get(server.add("/net.pth", Served(BODY)), target, size=size)
    assert target.read_bytes() == BODY
    assert names_in(target.parent) == ["net.pth"]
    assert bar.shown == SIZE
    assert server.sent() <= 2 * SIZE


def test_a_part_that_begins_elsewhere_is_not_glued_on(server, target) -> None:
    leave_part(target, BODY[:500_000])
    get(server.add("/net.pth", Served(BODY, shifted=10)), target, sha256=SHA256)
    assert target.read_bytes() == BODY


# --- a source that fails raises at once, or after its retries ---


@pytest.mark.parametrize("status", [404, 403, 401, 410])
def test_a_missing_file_is_not_requested_again(server, target, status: int) -> None:
    url = server.add("/net.pth", Served(BODY, failures=[status] * 9))
    with pytest.raises(SourceError, match=f"{url}: HTTP {status}"):
        get(url, target)
    assert len(server.asked) == 1
    assert not target.exists()


@pytest.mark.parametrize("status", [503, 502, 504, 429, 500])
def test_a_request_to_a_busy_server_is_repeated(server, target, status: int) -> None:
    get(server.add("/net.pth", Served(BODY, failures=[status] * 2)), target)
    assert [asked.status for asked in server.asked] == [status, status, 200]


def test_a_server_that_stays_busy_is_given_up(server, target) -> None:
    url = server.add("/net.pth", Served(BODY, failures=[503] * 9))
    with pytest.raises(SourceError, match="HTTP 503 Service Unavailable, 3 times in a row"):
        get(url, target)
    assert len(server.asked) == 3


def test_a_server_is_given_the_time_that_it_asks_for_within_reason() -> None:
    retry = RetryPolicy(first_wait=1, longest_wait=30)
    assert [retry.wait(failures, None) for failures in (0, 1, 2, 3, 9)] == [1, 1, 2, 4, 30]
    assert [retry.wait(1, asked) for asked in (7, 86_400, -5)] == [7, 30, 0]


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(server, target, as_date: bool) -> None:
    # A date has whole seconds: two ahead are at least one.
    wanted = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    headers = {"Retry-After": wanted}
    url = server.add("/net.pth", Served(BODY, failures=[503], failure_headers=headers))
    begun = time.monotonic()
    get(url, target, retry=RetryPolicy(first_wait=0.01, longest_wait=5))
    assert 0.9 < time.monotonic() - begun < 4


@pytest.mark.parametrize("after", [0, 300_000])
def test_a_stall_ends_with_the_retries(server, target, after: int) -> None:
    url = server.add("/net.pth", Served(BODY, stall_after=after, ranges=False))
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"no byte for 0\.3 seconds, 2 times in a row"):
        get(url, target, retry=RetryPolicy(attempts=2, first_wait=0.01, stall=0.3))
    assert time.monotonic() - begun < 5
    assert not target.exists()


def test_a_closed_port_is_given_up_at_once(target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(SourceError, match="refused"):
        get(f"http://127.0.0.1:{port}/net.pth", target, retry=RetryPolicy())
    assert time.monotonic() - begun < 1


def test_a_server_that_disappears_in_the_middle_gets_its_retries(server, target) -> None:
    class Closing(Bar):
        def step(self, count: int) -> None:
            if count:
                server.close()

    url = server.add("/net.pth", Served(BODY, pause=0.05, block=20_000))
    with pytest.raises(SourceError, match="refused, 3 times in a row"):
        get(url, target, progress=Closing())
    assert part_of(target).stat().st_size >= 20_000


@pytest.mark.parametrize("url", ["ftp://host/a", "file:///etc/passwd", "net.pth", "http://[a/b"])
def test_only_web_addresses_are_fetched(target, url: str) -> None:
    with pytest.raises(SourceError):
        get(url, target)


def test_a_redirect_to_another_kind_of_address_is_refused(server, target) -> None:
    with pytest.raises(SourceError, match="file:///etc/passwd"):
        get(server.add("/net.pth", Served(b"", redirect="file:///etc/passwd")), target)


# --- the wrong file is never taken for the right one ---


def test_another_length_is_refused_before_the_body(server, target) -> None:
    url = server.add("/net.pth", Served(BODY))
    with pytest.raises(SourceError, match=r"file has 1,000,000 bytes, not 2,000,000"):
        get(url, target, size=2 * SIZE)
    assert len(server.asked) == 1
    assert not target.parent.exists()


def test_more_bytes_than_the_file_has_are_refused(server, target) -> None:
    url = server.add("/net.pth", Served(BODY + BODY, length=-1))
    with pytest.raises(SourceError, match="more than the file's 1,000,000 bytes"):
        get(url, target)
    assert not target.exists()


def test_a_wrong_hash_is_kept_aside_and_never_used(server, target) -> None:
    url = server.add("/net.pth", Served(OTHER))
    found = hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(SourceError, match=f"sha256 is {found}, not {SHA256}"):
        get(url, target)
    assert names_in(target.parent) == [f"net.pth.wrong-{found[:8]}"]
    assert len(server.asked) == 1


def test_a_wrong_hash_of_a_resumed_file_is_checked_against_a_fresh_one(server, target) -> None:
    url = server.add("/net.pth", Served(OTHER, cut_after=400_000))
    with pytest.raises(SourceError, match="sha256"):
        get(url, target)
    assert [asked.range for asked in server.asked] == [None, "bytes=400000-", None]
    assert not target.exists()
