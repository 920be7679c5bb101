"""A real server on this machine, with two users, and requests as no honest client sends them.

Its jobs stay queued, and what is asked for is never answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from latentsync.errors import Cancelled
from latentsync.server.http.app import create_app
from latentsync.server.http.listening import HEADER_BYTES, _Connection
from latentsync.server.service import Service
from latentsync.server.settings import Limits, ServerSettings

TOKENS = {"alice": "alice-has-this-token", "bob": "bob-has-another-token"}
JSON = {"Content-Type": "application/json"}
SECRET = b"nobody may read this"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of an error: short, for programs. Every error has the same three fields."""
        assert set(self.json) == {"code", "message", "field"}, self.body
        return self.json["code"]


class IdleEngine:
    """See latentsync.server.engine.Engine."""

    def submit(self, *_: object) -> Future[dict[str, Any]]:
        return Future()

    def cancel(self, future: Future[dict[str, Any]]) -> None:
        future.set_exception(Cancelled())

    def wake(self) -> None: ...

    def drain(self, grace: float) -> None: ...


@dataclass
class Attacked:
    """root: of the server. allowed: the folder of which files may be named by path."""

    port: int
    settings: ServerSettings
    allowed: Path
    app: FastAPI
    made: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        *,
        user: str | None = "alice",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Iterator[bytes] | None = None,
        data: object = None,
    ) -> Answer:
        """data: sent as JSON. The path is sent as it is written."""
        sent = {} if user is None else {"Authorization": f"Bearer {TOKENS[user]}"}
        if data is not None:
            body, sent = json.dumps(data), {**sent, **JSON}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            response = connection.getresponse()
            answer = Answer(response.status, _lower(response.getheaders()), response.read())
        finally:
            connection.close()
        assert answer.status < 500, answer
        assert SECRET not in answer.body
        return answer

    def raw(self, head: str, body: bytes = b"", seconds: float = 2.0) -> bytes:
        """Everything that is answered to these bytes, until the connection is closed or nothing
        comes for so long. head: TOKEN in it becomes alice's."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            text = head.replace("TOKEN", TOKENS["alice"]).replace("\n", "\r\n")
            connection.sendall(text.encode("latin-1") + body)
            answer = b""
            with suppress(TimeoutError, ConnectionError):
                while block := connection.recv(65536):
                    answer += block
            return answer

    def upload(self, path: Path, user: str = "alice", name: str = "clip.mp4") -> Answer:
        return self.ask("PUT", f"/v1/uploads/{name}", user=user, body=path.read_bytes())

    def forget_failures(self) -> None:
        """Of logging in: after some, everybody at this address has to wait."""
        self.app.state.gatekeeper.failures.clear()

    def swept(self, known: set[str]) -> bool:
        """Whether nothing but these files is there, soon: what is deleted goes a moment later."""
        for _ in range(100):
            if self.files() == known:
                return True
            time.sleep(0.05)
        return False

    def job(self, user: str = "alice", **changed: object) -> Answer:
        data = {"video": self.made[f"video of {user}"], **changed}
        return self.ask("POST", "/v1/jobs", user=user, data=data)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing is left meanwhile below the server's folder, nor beside it."""
        before = self.files()
        yield
        assert self.swept(before), self.files() ^ before

    def files(self) -> set[str]:
        """Everything below the server's folder, and beside it, but its databases."""
        root = self.settings.root.parent
        found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
        return {str(path.relative_to(root)) for path in found if ".sqlite" not in path.name}


@contextmanager
def attacked(folder: Path, video: Path, **limits: float) -> Iterator[Attacked]:
    """Each user has a video, and a job of it. limits: of settings.Limits."""
    folder.mkdir(parents=True, exist_ok=True)
    users, allowed = folder / "users.yaml", folder / "allowed"
    users.write_text("".join(f"{name}: {token}\n" for name, token in TOKENS.items()))
    users.chmod(0o600)
    allowed.mkdir()
    (folder / "secret.mp4").write_bytes(SECRET)
    settings = ServerSettings(
        root=folder / "server",
        users=users,
        folders=(allowed,),
        webhook_secret="a secret that is long enough",
        page=False,
        limits=Limits(**{"disk": 0, "upload": 4 << 20, "upload_seconds": 0.5, **limits}),
    )
    app = create_app(Service(settings, IdleEngine()), settings)
    with _serving(app) as port:
        server = Attacked(port, settings, allowed, app)
        for user in TOKENS:
            server.made[f"video of {user}"] = server.upload(video, user).json["id"]
            server.made[f"job of {user}"] = server.job(user, name=f"job of {user}").json["id"]
        yield server


@contextmanager
def _serving(app: FastAPI) -> Iterator[int]:
    """Returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        assert server.started
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def posted(server: Attacked, body: str | bytes, kind: str = "application/json") -> Answer:
    return server.ask("POST", "/v1/jobs", body=body, headers={"Content-Type": kind})
