"""A local web server with configurable faults, which records the requests."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

BLOCK = 1 << 16
ENDLESS = 1 << 30  # times


@dataclass
class Served:
    """A file and the faults to serve it with. Byte counts are of one response body."""

    body: bytes | Path
    ranges: bool = True
    failures: list[int] = field(default_factory=list)  # statuses of the first responses
    failure_headers: dict[str, str] = field(default_factory=dict)  # sent with them
    cut_after: int | None = None  # bytes, then the connection ends
    cuts: int = 1  # how many responses are cut
    stall_after: int | None = None  # bytes, then nothing until the server is closed
    delay: float = 0.0  # seconds before the head, or until the server is closed
    pause: float = 0.0  # seconds after each block
    block: int = BLOCK
    length: int | None = None  # announced instead of the true one; -1: none is announced
    shifted: int = 0  # bytes by which a part begins later than requested
    redirect: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def read(self) -> bytes:
        return self.body.read_bytes() if isinstance(self.body, Path) else self.body


@dataclass
class Request:
    """One request, and its response."""

    method: str
    target: str  # as in the request: with the host where the server is used as a proxy
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0
    sent: int = 0  # bytes of the response's body

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class Loopback:
    """`with Loopback() as server: server.add("/a", Served(b"...")); server.url("/a")`."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: list[Request] = []
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.loopback = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return self.address + path

    def add(self, path: str, served: Served) -> str:
        """Returns its URL."""
        self.files[path] = served
        return self.url(path)

    def add_to_hub(self, repo: str, filename: str, served: Served) -> str:
        """Serves it as the hub does a large file, named by its hash. Returns the hash."""
        digest = hashlib.sha256(served.read()).hexdigest()
        served.headers = {
            "X-Repo-Commit": hashlib.sha1(repo.encode()).hexdigest(),
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(served.read())),
            **served.headers,
        }
        self.files[f"/{repo}/resolve/main/{filename}"] = served
        return digest

    def requests(self, path: str = "", method: str = "GET") -> list[Request]:
        return [a for a in self.asked if a.method == method and path in ("", a.path)]

    def sent(self, path: str = "") -> int:
        """Bytes of bodies."""
        return sum(asked.sent for asked in self.requests(path))

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops responding; current responses end."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    loopback: Loopback
    block_on_close = False

    def handle_error(self, request, client_address) -> None:
        """A client may disconnect at any time."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Silent."""

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.asked = Request(self.command, self.path, headers, body)
        self.server.loopback.asked.append(self.asked)
        served = self.server.loopback.files.get(self.asked.path)
        if served is not None and served.delay:
            self.server.loopback.closing.wait(served.delay)
        if served is None:
            self._head(404, self._missing())
        elif served.failures:
            self._head(served.failures.pop(0), served.failure_headers)
        elif served.redirect:
            self._head(302, {**served.headers, "Location": served.redirect})
        else:
            self._file(served)

    def _missing(self) -> dict[str, str]:
        repo, is_hub, _ = self.asked.path.partition("/resolve/")
        if not is_hub:
            return {}
        known = any(path.startswith(f"{repo}/resolve/") for path in self.server.loopback.files)
        return {"X-Error-Code": "EntryNotFound" if known else "RepoNotFound"}

    def _file(self, served: Served) -> None:
        body = served.read()
        span = re.fullmatch(r"bytes=(\d+)-", self.asked.range or "") if served.ranges else None
        start = int(span[1]) + served.shifted if span else 0
        headers = {"Accept-Ranges": "bytes" if served.ranges else "none", **served.headers}
        if span and start >= len(body):
            self._head(416, {**headers, "Content-Range": f"bytes */{len(body)}"})
            return
        if span:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        length = len(body) - start if served.length is None else served.length
        if length >= 0:
            headers["Content-Length"] = str(length)
        self._head(206 if span else 200, headers)
        if self.command != "HEAD":
            self._send(served, memoryview(body)[start:])

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, served: Served, left: memoryview) -> None:
        if served.cut_after is not None and served.cuts > 0:
            served.cuts -= 1
            left = left[: served.cut_after]
        stalls = served.stall_after is not None and len(left) > served.stall_after
        left = left[: served.stall_after] if stalls else left
        while left and not self.server.loopback.closing.is_set():
            self.wfile.write(left[: served.block])
            self.asked.sent += len(left[: served.block])
            left = left[served.block :]
            time.sleep(served.pause)
        if stalls:
            self.server.loopback.closing.wait()
