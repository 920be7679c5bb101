"""The server as an ASGI application: the routes of the API, the page, and what guards both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI

from latentsync import __version__
from latentsync.server.http.answers import LastResort, answer_errors
from latentsync.server.http.auth import Auth, Gatekeeper, load_keys
from latentsync.server.http.body_limit import BodyLimit
from latentsync.server.http.doors import Doors, SafeHeaders
from latentsync.server.http.page_door import Page, PageDoor
from latentsync.server.http.request_counts import CountRequests, RequestCounts
from latentsync.server.http.routes import job_files, jobs, login, status, tasks, uploads
from latentsync.server.http.routes.parameters import COMMON
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings

_PARTS = (uploads, jobs, job_files, tasks, status, login)


def create_app(service: Service, settings: ServerSettings) -> FastAPI:
    """Starts the service with its own start, and stops it with its end. Raises ConfigError for a
    users file that cannot be used."""
    page = Page(service, settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        making = asyncio.create_task(page.run()) if settings.page else None
        try:
            yield
        finally:
            if making is not None:
                making.cancel()
                with suppress(asyncio.CancelledError):
                    await making
            await service.stop()

    app = FastAPI(
        title="LatentSync",
        version=__version__,
        summary="Lip-sync, with the mouth restored where it is needed",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    app.state.gatekeeper = Gatekeeper(load_keys(settings))
    app.state.requests = RequestCounts()
    app.state.streams = Counter[str]()  # user -> events that are watched
    for part in _PARTS:
        app.include_router(part.router, responses=COMMON)
    answer_errors(app, [route for part in _PARTS for route in part.router.routes])
    _guard(app, page, settings)
    _say_how_to_log_in(app)
    return app


def _guard(app: FastAPI, page: Page, settings: ServerSettings) -> None:
    """What is added last stands outermost."""
    app.add_middleware(PageDoor, page=page)
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Auth, gatekeeper=app.state.gatekeeper)
    app.add_middleware(Doors, settings=settings)
    app.add_middleware(LastResort)
    app.add_middleware(SafeHeaders)
    app.add_middleware(CountRequests, counts=app.state.requests)


def _say_how_to_log_in(app: FastAPI) -> None:
    """The description names the token, which no route reads itself."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        schema = plain()
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        schema["security"] = [{}, {"token": []}]
        return schema

    app.openapi = described  # type: ignore[method-assign]
