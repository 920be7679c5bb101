"""Where the page is reached: everything that is none of the API's paths.

Importing what the page is made of takes seconds. The API answers meanwhile, and the page follows.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextlib import AsyncExitStack

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from latentsync.server.errors import ApiError
from latentsync.server.http.answers import answer
from latentsync.server.http.paths import is_api, path_of
from latentsync.server.http.plain_pages import no_page, starting_page
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings

logger = logging.getLogger(__name__)


class Page:
    """The page, from the moment that it is ready. reason: why there is none."""

    def __init__(self, service: Service, settings: ServerSettings) -> None:
        self._service, self._settings = service, settings
        self.app: ASGIApp | None = None
        self.reason: str | None = None if settings.page else "The page is switched off."

    async def run(self) -> None:
        """Makes the page, and keeps it until this is cancelled."""
        async with AsyncExitStack() as stack:
            try:
                app = await asyncio.to_thread(self._build)
                await stack.enter_async_context(app.router.lifespan_context(app))
            except Exception:  # of any of gradio's packages: the API answers without a page, too
                logger.exception("the page could not be made")
                self.reason = "The page could not be made; the server's log says why."
                return
            self.app = app
            await asyncio.Event().wait()

    def _build(self) -> FastAPI:
        """In a thread; nothing but this needs gradio."""
        module = importlib.import_module("latentsync.server.page")
        app = FastAPI(openapi_url=None)
        module.mount_page(app, self._service, self._settings)
        return app


class PageDoor:
    """Hands the API's paths to the API, and all others to the page."""

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self.app, self.page = app, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_api(path_of(scope)):
            await self.app(scope, receive, send)
        elif self.page.app is not None:
            await self.page.app(scope, receive, send)
        else:
            await self._without(scope, receive, send)

    async def _without(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if path_of(scope) != "/" or request.method != "GET":
            error = ApiError(404, "not_found", "no such page; /docs lists what there is")
            await answer(error)(scope, receive, send)
        elif self.page.reason is None:
            await starting_page()(scope, receive, send)
        else:
            await no_page(scope.get("root_path", ""), self.page.reason)(scope, receive, send)
