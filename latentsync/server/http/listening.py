"""The process that serves: its port, its connections, and its end."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from latentsync.errors import ConfigError
from latentsync.server.settings import ServerSettings

CONNECTIONS = 1000
HEADER_BYTES = 32 * 1024
HEADER_SECONDS = 30
"""How long a connection may wait for the whole head of its next request."""
CLOSING_SECONDS = 5
"""How long requests may take to end once the server is to end."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """In front of the server. root_path: the prefix that it takes from paths. addresses: of those
    whose X-Forwarded-For and X-Forwarded-Proto count, separated by commas; None: nobody's."""

    root_path: str = ""
    addresses: str | None = None


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """Port 0: any free one. Raises ConfigError for one that cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, OverflowError) as error:
        raise ConfigError(
            "address", f"{host}:{port}", f"{error}; pass one of this machine"
        ) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError("port", port, "it is in use; pass --port N, 0 for any") from None
        reason = f"{error.strerror}; pass another --listen or --port"
        raise ConfigError("address", f"{host}:{port}", reason) from None
    return listener


def url_of(settings: ServerSettings, port: int, proxy: Proxy) -> str:
    """Under which a browser reaches it."""
    host = settings.host
    if host in ("0.0.0.0", "::"):  # every address of this machine
        host = next(iter(settings.hosts), socket.gethostname())
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{proxy.root_path}/"


async def serve(
    app: ASGIApp, listener: socket.socket, proxy: Proxy, started: Callable[[], None]
) -> int | None:
    """Serves until SIGINT or SIGTERM, which is returned. started: called when requests are
    answered."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        root_path=proxy.root_path,
        proxy_headers=proxy.addresses is not None,
        forwarded_allow_ips=proxy.addresses,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=HEADER_SECONDS,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
    server = _Server(config, started)
    await server.serve(sockets=[listener])
    return server.ended_by


class _Server(uvicorn.Server):
    """Says when it has started, and which signal has ended it, in place of raising it again."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._say_started()

    @property
    def ended_by(self) -> int | None:
        return self._captured_signals[0] if self._captured_signals else None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Connection(H11Protocol):
    """Closes itself when the head of a request does not come: uvicorn waits for ever."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
