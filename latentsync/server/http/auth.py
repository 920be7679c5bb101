"""Who is asking: a token in a header, or the cookie of a browser that has shown one."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from latentsync.errors import ConfigError
from latentsync.server.errors import ApiError
from latentsync.server.http.answers import answer
from latentsync.server.http.paths import HEALTH, LOGIN, path_of
from latentsync.server.service import LOCAL
from latentsync.server.settings import ServerSettings

SHORTEST_TOKEN = 16
COOKIE = "latentsync_session"
SESSION_SECONDS = 7 * 24 * 3600
SESSIONS = 10_000
FAILURES, FAILURE_SECONDS = 10, 60.0
"""Wrong tokens from one address within that many seconds, after which further ones have to wait."""
_ADDRESSES = 10_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")


def hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def load_keys(settings: ServerSettings) -> dict[str, bytes]:
    """User -> SHA-256 of the token. Raises ConfigError for a users file that cannot be used."""
    keys = {} if settings.users is None else _read_users(settings.users)
    return keys if settings.token is None else {**keys, LOCAL: hashed(settings.token)}


def _read_users(path: Path) -> dict[str, bytes]:
    remedy = "write lines like NAME: TOKEN, or NAME: sha256:HEX"
    try:
        if os.name == "posix" and path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise ConfigError("users file", path, f"others can read it: chmod 600 {path}")
        users = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError("users file", path, f"{type(error).__name__}; {remedy}") from None
    if not isinstance(users, dict) or not users:
        raise ConfigError("users file", path, remedy)
    return {_user(name): _key(name, token) for name, token in users.items()}


def _user(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == LOCAL:
        remedy = f"use letters, digits, . _ - (up to 64); {LOCAL} is taken"
        raise ConfigError("name of a user", name, remedy)
    return name


def _key(name: str, token: object) -> bytes:
    """The messages name the user, never the token."""
    if isinstance(token, str) and (digest := _HASHED.fullmatch(token.lower())):
        return bytes.fromhex(digest[1])
    if not isinstance(token, str) or len(token) < SHORTEST_TOKEN:
        remedy = f"use at least {SHORTEST_TOKEN} characters, in quotes"
        raise ConfigError("token of the user", name, remedy)
    return hashed(token)


@dataclass
class Gatekeeper:
    """keys: user -> SHA-256 of the token; empty: nobody has to show one. What browsers have shown
    is kept in memory only: a restart asks them again."""

    keys: dict[str, bytes]
    sessions: dict[bytes, tuple[str, float]] = field(default_factory=dict)
    failures: dict[str, deque[float]] = field(default_factory=dict)

    def user(self, token: str, address: str) -> str | None:
        """None: nobody's token. Raises ApiError (429) for a wrong one after many from that address;
        the right one always passes, as others may share the address."""
        given, found = hashed(token), None
        for name, key in self.keys.items():  # all of them: the time says nothing about the user
            found = name if hmac.compare_digest(given, key) else found
        if found is None:
            self._remember_failure(address)
        return found

    def _remember_failure(self, address: str) -> None:
        """Raises ApiError (429) where there were too many already."""
        recent = self.failures.get(address, deque())
        while recent and recent[0] < time.monotonic() - FAILURE_SECONDS:
            recent.popleft()
        if len(recent) >= FAILURES:
            wait = int(FAILURE_SECONDS - (time.monotonic() - recent[0])) + 1
            message = f"{len(recent)} wrong tokens; wait {wait} seconds"
            raise ApiError(429, "too_many_attempts", message, retry_after=wait)
        if address not in self.failures and len(self.failures) >= _ADDRESSES:
            del self.failures[next(iter(self.failures))]
        self.failures.setdefault(address, deque(maxlen=FAILURES)).append(time.monotonic())

    def open_session(self, user: str) -> str:
        """A value for the cookie of a browser that has shown the user's token."""
        if len(self.sessions) >= SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        cookie = secrets.token_urlsafe(32)
        self.sessions[hashed(cookie)] = user, time.monotonic() + SESSION_SECONDS
        return cookie

    def session_user(self, cookie: str | None) -> str | None:
        found = None if cookie is None else self.sessions.get(hashed(cookie))
        return found[0] if found and found[1] > time.monotonic() else None

    def close_session(self, cookie: str | None) -> None:
        if cookie is not None:
            self.sessions.pop(hashed(cookie), None)


def current_user(request: Request) -> str:
    """The user of a request, for routes and for the page. Auth has let the request in."""
    user: str = request.scope["user"]
    return user


class Auth:
    """Puts the user's name into ``scope["user"]``; answers 401 to those who are nobody, or leads a
    browser to the login page."""

    def __init__(self, app: ASGIApp, gatekeeper: Gatekeeper) -> None:
        self.app, self.gatekeeper = app, gatekeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            user = self._user(Request(scope))
        except ApiError as error:
            await answer(error)(scope, receive, send)
            return
        if user is not None or path_of(scope) in (LOGIN, HEALTH):
            scope["user"] = user
            await self.app(scope, receive, send)
        elif scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
            there = scope.get("root_path", "") + LOGIN
            await RedirectResponse(there, 303)(scope, receive, send)
        else:
            nobody = ApiError(
                401, "unauthorized", "no such token; send Authorization: Bearer TOKEN"
            )
            await answer(nobody, {"WWW-Authenticate": "Bearer"})(scope, receive, send)

    def _user(self, request: Request) -> str | None:
        if not self.gatekeeper.keys:
            return LOCAL
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.gatekeeper.user(token.strip(), address_of(request))
        return self.gatekeeper.session_user(request.cookies.get(COOKIE))


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"
