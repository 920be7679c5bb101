"""Whether the server is well, its figures for Prometheus, and the list of its routes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from latentsync.server.http.plain_pages import docs_page
from latentsync.server.http.routes.parameters import TheService

router = APIRouter(tags=["server"])

METRICS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
async def health(request: Request, service: TheService) -> dict[str, Any]:
    """Asks for no token; tells more than ``status`` only to those who show one."""
    known = service.health()
    return known if request.scope["user"] is not None else {"status": known["status"]}


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, service: TheService) -> PlainTextResponse:
    """In the text format of Prometheus."""
    text = service.metrics() + request.app.state.requests.text()
    return PlainTextResponse(text, media_type=METRICS)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    return docs_page(request.app.openapi(), request.scope.get("root_path", ""))
