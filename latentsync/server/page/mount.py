"""Puts the page into the server's application."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request

from latentsync.server.service import LOCAL, Service
from latentsync.server.settings import ServerSettings

if TYPE_CHECKING:
    import gradio

UPLOADS = "GRADIO_TEMP_DIR"
"""Where gradio writes what is uploaded, until the service has taken it."""


async def mount_page(app: FastAPI, service: Service, settings: ServerSettings) -> AsyncExitStack:
    """Adds the page at "/", after the routes that are there.

    Its import takes seconds, so a thread does that: the server may answer already. Call it in the
    event loop of the service, and close what it returns when the server ends.
    """
    _empty_uploads(settings.root / "page")
    blocks, mounted = await asyncio.to_thread(_mounted, app, service, settings)
    ends = AsyncExitStack()
    await ends.enter_async_context(mounted.router.lifespan_context(mounted))
    blocks.run_startup_events()  # the application has started before, so nothing else calls it
    return ends


def _empty_uploads(folder: Path) -> None:
    """On the disk of the user's folders, so that a file is taken by renaming it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[UPLOADS] = str(folder.resolve())


def _mounted(
    app: FastAPI, service: Service, settings: ServerSettings
) -> tuple[gradio.Blocks, FastAPI]:
    import gradio

    from latentsync.server.page.layout import page_of
    from latentsync.server.page.theme import looks

    blocks = page_of(service, settings)
    blocks.queue(default_concurrency_limit=None, api_open=False)
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        auth_dependency=_user,
        footer_links=[],
        run_history=False,
        max_file_size=settings.limits.upload,
        blocked_paths=[str(settings.root.resolve())],
        show_error=True,
        enable_monitoring=False,
        **looks(),
    )
    return blocks, app.routes[-1].app  # type: ignore[attr-defined]  # a Mount


def _user(request: Request) -> str | None:
    """None: gradio answers 401. The middleware of the application has looked at the token."""
    return getattr(request.state, "user", LOCAL)
