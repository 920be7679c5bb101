"""Who is let in before anything is read: right host, no foreign page; and what answers carry.

A browser on this machine visits pages of strangers. Such a page may send requests here, and may
make its own name point here (DNS rebinding): the Host and Origin headers tell them apart, as no
page can change these.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentsync.server.errors import ApiError
from latentsync.server.http.answers import answer
from latentsync.server.http.paths import is_api, path_of
from latentsync.server.settings import ServerSettings

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
"""gradio's page has inline scripts and styles, and compiles templates."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",  # with no-referrer a form says Origin: null
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


class SafeHeaders:
    """Adds to every answer what keeps browsers from doing more with it than is meant."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        api = scope["type"] == "http" and is_api(path_of(scope))
        defaults = {**_HEADERS, "Content-Security-Policy": API_POLICY if api else PAGE_POLICY}
        if api:
            defaults["Cache-Control"] = "no-store"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in defaults.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


class Doors:
    """Refuses other hosts' names (421), foreign pages (403), and WebSockets, which nothing uses."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app = app
        self.named = frozenset(name.lower() for name in settings.hosts)
        own = {"localhost", settings.host.lower(), socket.gethostname().lower()}
        self.names = self.named | own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self.refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await answer(refusal, {"Connection": "close"})(scope, receive, send)

    def refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if not self._is_own(host):
            message = f"not a name of this server: {host[:200]}; start it with --host_name NAME"
            return ApiError(421, "wrong_host", message)
        if "transfer-encoding" in headers and "content-length" in headers:
            # A proxy before us may have read the other one, and the rest as somebody's request.
            message = "the body has two lengths; send Content-Length or Transfer-Encoding"
            return ApiError(400, "two_lengths", message)
        if scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        foreign = origin is not None and not self._same(origin.lower(), host)
        if foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            message = f"sent by a page of another site: {(origin or 'unknown')[:200]}; use ours"
            return ApiError(403, "cross_site", message)
        return None

    def _is_own(self, host: str) -> bool:
        """A page of strangers has a name: an address as it stands is never theirs here."""
        name = _name(host)
        return name in self.names or _is_address(name)

    def _same(self, origin: str, host: str) -> bool:
        place = origin.partition("://")[2]
        return place == host or _name(place) in self.named


def _name(host: str) -> str:
    """Without port and brackets; empty if it is none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]) if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
