"""Which addresses a URL that a user gives may lead to: those of public https servers, nothing else.

A name is looked up once, every address that it has must be public, and the connection is made to
one of those that were checked: a name that leads elsewhere a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from latentsync.server.errors import ApiError

HTTPS_PORT = 443
LONGEST = 2048
"""Characters of a URL."""
LOOKUP_SECONDS = 10.0

Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Sequence[str]]
"""Host and port -> addresses in the order in which to try them; OSError: it has none."""

_UNICAST = ip_network("2000::/3")
"""The one part of IPv6 that public servers are in."""
_NAT64 = ip_network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # of protocols: 192.0.0.192 is a cloud's metadata; ipaddress knows parts
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's own services, at an address that looks public
        "2001::/23",  # of protocols, Teredo among them
        "2002::/16",  # 6to4: an IPv4 address of any kind inside
        "3fff::/20",  # of documents; newer versions of ipaddress know it
    )
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label by which the whole host is read as a number: 2130706433, 0x7f.1, 0177.0.0.1."""
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")


def look_up(host: str, port: int) -> Sequence[str]:
    """See Lookup."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be reached. ports: of the server that is asked. local: whether addresses that are
    not public may be, too. trust: whose certificates are accepted; None: those that the system
    accepts. No setting changes any of this: tests do, whose servers are on this machine."""

    ports: frozenset[int] = frozenset({HTTPS_PORT})
    local: bool = False
    lookup: Lookup = look_up
    trust: ssl.SSLContext | None = None


PUBLIC = Reach()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads. host: the name that the certificate must be of, in ASCII. addresses: to
    connect to, in this order. target: path and query."""

    host: str
    port: int
    addresses: tuple[str, ...]
    target: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"


def is_public(address: Address) -> bool:
    """Whether it is one that servers of the internet have: no private, shared, local, multicast or
    reserved one, in none of the forms in which IPv6 holds an IPv4 address."""
    if isinstance(address, IPv6Address):
        if inner := _inner(address):
            return is_public(inner)
        if address not in _UNICAST:
            return False
    elif address.is_multicast:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that is reached by it, mapped or translated."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


async def locate(url: str, field: str = "url", reach: Reach = PUBLIC) -> Destination:
    """Where the URL leads. field: of the request, for errors.

    Raises ApiError (422, url): no https URL, a port that is not allowed, or a host that has no
    address, or one that is not public.
    """
    parts = _split(url, field)
    host, port = _host(parts.hostname or "", field), _port(parts, reach, field)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    addresses = await _addresses(host, port, reach.lookup)
    public = [_is_reachable(address, reach) for address in addresses]
    if not addresses or not all(public):
        # The same for both: nobody is to find out which names a private network has.
        raise _refused(field, f"{host} has no public address: give the URL of a public server")
    return Destination(host, port, tuple(addresses), target)


async def _addresses(host: str, port: int, lookup: Lookup) -> Sequence[str]:
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            return await asyncio.to_thread(lookup, host, port)
    except (OSError, UnicodeError):
        return ()


def _is_reachable(text: str, reach: Reach) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return reach.local or is_public(address)


def _split(url: str, field: str) -> SplitResult:
    if len(url) > LONGEST or _NOT_IN_URLS.search(url):
        raise _refused(field, f"a URL has at most {LONGEST} characters, and no spaces or \\")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _refused(field, f"{url!r} is no URL: {error}") from error
    if parts.scheme != "https":
        raise _refused(field, f"{url!r} does not begin with https://: only such URLs are read")
    if "@" in parts.netloc:
        raise _refused(field, "the URL holds a user name: give one without (nothing before @)")
    return parts


def _host(name: str, field: str) -> str:
    """In ASCII, lower case, without the dot at its end."""
    if ":" in name:  # urlsplit has seen the brackets
        try:
            # A zone, as in fe80::1%eth0, is of one of this machine's own links.
            return str(IPv6Address(name.replace("%", " ")))
        except ValueError as error:
            raise _refused(field, f"{name} is no IPv6 address: check the URL") from error
    try:
        host = name.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise _refused(field, f"{name!r} is no name of a host: check the URL") from error
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused(field, f"{name!r} is no name of a host: check the URL")
    if _NUMBER.fullmatch(labels[-1]):
        _check_dotted(host, field)
    return host


def _check_dotted(host: str, field: str) -> None:
    """Refuses the spellings of an IPv4 address that resolvers read in different ways."""
    try:
        IPv4Address(host)
    except ValueError as error:
        message = f"{host} is no plain IPv4 address: write it as four numbers from 0 to 255"
        raise _refused(field, message) from error


def _port(parts: SplitResult, reach: Reach, field: str) -> int:
    try:
        port = HTTPS_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise _refused(field, f"the URL's port is no number up to 65535: {error}") from error
    if port not in reach.ports:
        allowed = " or ".join(str(port) for port in sorted(reach.ports))
        raise _refused(field, f"port {port} may not be reached: only {allowed}")
    return port


def _refused(field: str, message: str) -> ApiError:
    return ApiError(422, "url", message, field)
