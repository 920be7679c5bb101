"""Which addresses a URL may lead to, and how hosts are read."""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentsync.server.errors import ApiError
from latentsync.server.internet import addresses
from latentsync.server.internet.addresses import Destination, Reach, is_public, locate

PUBLIC = "93.184.216.34"

CLOSED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *(
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",
        "::/96",
    ),
    *(
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "64:ff9b:1::/48",
    ),
    *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)
OPEN = (
    *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
    *(
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
    ),
    *("223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2400:cb00::1", "::ffff:1.1.1.1"),
    *("64:ff9b::1.1.1.1",),
)


def found(url: str, *hosts: str, ports: frozenset[int] = frozenset({443})) -> Destination:
    """Where it leads when its host has these addresses."""
    return asyncio.run(locate(url, "video", Reach(ports, lookup=lambda *_: hosts)))


def refusal(url: str, *hosts: str) -> str:
    with pytest.raises(ApiError) as caught:
        found(url, *(hosts or (PUBLIC,)))
    assert (caught.value.status, caught.value.code, caught.value.field) == (422, "url", "video")
    return str(caught.value)


@pytest.mark.parametrize("network", CLOSED)
def test_no_end_of_a_network_that_is_not_public_may_be_reached(network: str) -> None:
    assert not is_public(ip_network(network)[0])
    assert not is_public(ip_network(network)[-1])


@pytest.mark.parametrize("address", OPEN)
def test_neighbours_of_those_networks_may_be_reached(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_in_another_form_is_as_public_as_it_is_itself(address: IPv4Address) -> None:
    for before in (0xFFFF << 32, 0x64FF9B << 96):  # mapped, translated
        assert is_public(IPv6Address(before | int(address))) == is_public(address)


@given(st.ip_addresses(v=6))
def test_only_the_public_part_of_ipv6_may_be_reached(address: IPv6Address) -> None:
    translated = address.ipv4_mapped or address in ip_network("64:ff9b::/96")
    assert translated or not is_public(address) or address in ip_network("2000::/3")


def test_a_url_leads_to_all_addresses_of_its_host_in_their_order() -> None:
    hosts = ("2606:4700::1111", PUBLIC)
    assert found("https://Media.Example./a%20b?c=d#e", *hosts) == Destination(
        "media.example", 443, hosts, "/a%20b?c=d"
    )


def test_one_address_that_is_not_public_is_enough_to_refuse() -> None:
    assert "media.example has no public address" in refusal("https://media.example/", "10.0.0.1")
    assert refusal("https://media.example/", PUBLIC, "::1") == refusal(
        "https://media.example/", "fe80::1%eth0"
    )


def test_a_name_that_exists_nowhere_is_refused_in_the_same_words() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(ApiError) as caught:
        asyncio.run(locate("https://media.example/", "video", Reach(lookup=nowhere)))
    assert str(caught.value) == refusal("https://media.example/", "127.0.0.1")


def test_a_name_is_looked_up_once() -> None:
    asked = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    assert asyncio.run(locate("https://a.example/", "video", Reach(lookup=lookup))).addresses
    assert asked == [("a.example", 443)]


def test_a_lookup_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "LOOKUP_SECONDS", 0.01)
    reach = Reach(lookup=lambda *_: time.sleep(0.2) or [PUBLIC])
    with pytest.raises(ApiError, match="no public address"):
        asyncio.run(locate("https://a.example/", "video", reach))


@pytest.mark.parametrize(
    "host",
    (
        *("127.1", "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "1"),
        *("127.0.0.01", "1.2.3.256", "1.2.3.4.5", "①②⑦.1", "0x", "example.0x1", "127.1."),
    ),
)
def test_an_ipv4_address_in_an_odd_spelling_is_refused(host: str) -> None:
    assert "plain IPv4" in refusal(f"https://{host}/")


@pytest.mark.parametrize(
    ("host", "address"),
    (
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("[64:ff9b::a00:1]", "64:ff9b::a00:1"),
        ("[2002:7f00:1::]", "2002:7f00:1::"),
        ("[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
        ("169.254.169.254", "169.254.169.254"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
    ),
)
def test_an_address_instead_of_a_name_is_checked_too(host: str, address: str) -> None:
    def lookup(asked: str, port: int) -> list[str]:
        assert ip_address(asked) == ip_address(address)
        return [asked]

    with pytest.raises(ApiError, match="no public address"):
        asyncio.run(locate(f"https://{host}/", "video", Reach(lookup=lookup)))


@pytest.mark.parametrize(
    ("url", "said"),
    (
        ("http://media.example/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("ftp://media.example/", "https://"),
        ("//media.example/", "https://"),
        ("media.example/a.mp4", "https://"),
        ("https:/media.example", "host"),
        ("https://", "host"),
        ("https://.", "host"),
        ("https://a..example/", "host"),
        ("https://-a.example/", "host"),
        ("https://a%2eexample/", "host"),
        ("https://[fe80::1%25eth0]/", "IPv6"),
        ("https://[::1/", "no URL"),
        ("https://" + "a" * 64 + ".example/", "host"),
        ("https://" + "a." * 130 + "example/", "host"),
        ("https://user@media.example/", "user name"),
        ("https://media.example@127.0.0.1/", "user name"),
        ("https://@media.example/", "user name"),
        ("https://media.example\\@127.0.0.1/", "spaces"),
        ("https://media.example/\r\nX: y", "spaces"),
        (" https://media.example/", "spaces"),
        ("https://media.example/\x00", "spaces"),
        ("https://media.example/" + "a" * 2048, "2048"),
        ("https://media.example:80/", "port 80"),
        ("https://media.example:22/", "port 22"),
        ("https://media.example:0/", "port 0"),
        ("https://media.example:99999/", "port"),
        ("https://media.example:4٤3/", "host|port"),
    ),
)
def test_a_url_that_is_not_plain_https_is_refused(url: str, said: str) -> None:
    with pytest.raises(ApiError, match=said):
        found(url, PUBLIC)


def test_a_name_in_another_script_is_looked_up_in_ascii() -> None:
    assert found("https://bücher.example/", PUBLIC).host == "xn--bcher-kva.example"


def test_a_port_can_be_allowed() -> None:
    to = found("https://media.example:8443/", PUBLIC, ports=frozenset({443, 8443}))
    assert (to.port, to.authority) == (8443, "media.example:8443")
    assert found("https://[2606:4700::1111]:443/", "2606:4700::1111").authority == (
        "[2606:4700::1111]"
    )
