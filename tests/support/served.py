"""The server's application for tests, over a service that does no work."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from latentsync.server.http.app import create_app
from latentsync.server.settings import ServerSettings
from tests.support.made_up_service import MadeUpService

HOST = "http://127.0.0.1:7860"
TOKEN = "a token of more than 16"


def served(root: Path, **settings: Any) -> tuple[TestClient, MadeUpService]:
    """A client that sends to it, and its service, both of the caller only. settings: of
    ServerSettings."""
    known = ServerSettings(root=root, page=False, **settings)
    service = MadeUpService(known)
    app = _app(tuple(sorted(settings.items())))
    app.state.service = service
    app.state.gatekeeper.sessions.clear()
    app.state.gatekeeper.failures.clear()
    app.state.requests.answered.clear()
    return TestClient(app, base_url=HOST, follow_redirects=False), service


@cache
def _app(settings: tuple[tuple[str, Any], ...]) -> FastAPI:
    """Making it takes a third of a second, most of it at its first answer."""
    known = ServerSettings(root=Path("unused"), page=False, **dict(settings))
    return create_app(MadeUpService(known), known)


def job_of(client: TestClient, **fields: Any) -> dict[str, Any]:
    """A job that has been made of an upload."""
    upload = client.put("/v1/uploads/clip.mp4", content=b"0123456789").json()
    made: dict[str, Any] = client.post("/v1/jobs", json={"video": upload["id"], **fields}).json()
    return made
