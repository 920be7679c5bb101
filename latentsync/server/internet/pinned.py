"""Requests to a server of the internet, sent to an address that was checked (see addresses).

The certificate must be of the name in the URL. Redirects are not followed; proxies, certificates
and passwords that the environment names are not used; nothing is decompressed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress

import httpx2

from latentsync import __version__
from latentsync.server.internet.addresses import PUBLIC, Destination, Reach

AGENT = f"latentsync/{__version__}"
FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError)
"""What a request may end with."""


@asynccontextmanager
async def answer_of(
    method: str,
    to: Destination,
    *,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    reach: Reach = PUBLIC,
) -> AsyncIterator[httpx2.Response]:
    """The response, of which only the head is read: see aiter_raw.

    seconds: for connecting, and without a byte. Raises one of FAILURES.
    """
    common = {"Host": to.authority, "User-Agent": AGENT, "Accept-Encoding": "identity"}

    def request_to(address: str) -> httpx2.Request:
        host = f"[{address}]" if ":" in address else address
        return httpx2.Request(
            method,
            f"https://{host}:{to.port}{to.target}",
            headers={**common, **(headers or {})},
            content=body,
            extensions={
                "sni_hostname": to.host,
                "timeout": httpx2.Timeout(seconds).as_dict(),
            },
        )

    known = reach.trust or httpx2.create_ssl_context(trust_env=False)
    # A transport alone follows no redirect and keeps no cookie.
    async with httpx2.AsyncHTTPTransport(verify=known, trust_env=False) as transport:
        response = await _first_connected(transport, to, request_to)
        async with aclosing(response):
            yield response


async def _first_connected(
    transport: httpx2.AsyncHTTPTransport,
    to: Destination,
    request_to: Callable[[str], httpx2.Request],
) -> httpx2.Response:
    for address in to.addresses[:-1]:
        with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
            return await transport.handle_async_request(request_to(address))
    return await transport.handle_async_request(request_to(to.addresses[-1]))
