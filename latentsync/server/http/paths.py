"""Which paths are the API's; everything else is the page's."""

from __future__ import annotations

from starlette.types import Scope

UPLOADS, JOBS = "/v1/uploads", "/v1/jobs"
LOGIN, LOGOUT, HEALTH, DOCS = "/login", "/logout", "/healthz", "/docs"
PAGE_UPLOAD = "/gradio_api/upload"
_OWN = ("/v1", LOGIN, LOGOUT, HEALTH, DOCS, "/metrics", "/openapi.json")


def path_of(scope: Scope) -> str:
    """The path below the prefix under which a proxy shows the server."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def is_api(path: str) -> bool:
    return any(path == own or path.startswith(f"{own}/") for own in _OWN)
