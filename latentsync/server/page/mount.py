"""Puts the page into an application."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fastapi import FastAPI

from latentsync.server.http.auth import current_user
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings

UPLOADS = "GRADIO_TEMP_DIR"
"""Where gradio writes what is uploaded, until the service has taken it."""

TABS = 1000
"""Whose drafts are kept; see layout.KEPT."""


def mount_page(app: FastAPI, service: Service, settings: ServerSettings) -> None:
    """Adds the page at "/". Its imports take seconds: call it in a thread, and enter the lifespan
    of app afterwards, in the event loop of the service."""
    _empty_uploads(settings.root / "page")
    import gradio

    from latentsync.server.page.layout import page_of
    from latentsync.server.page.theme import looks

    blocks = page_of(service, settings)
    blocks.state_session_capacity = TABS
    blocks.queue(default_concurrency_limit=None, api_open=False)
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        auth_dependency=current_user,
        footer_links=[],
        run_history=False,
        max_file_size=settings.limits.upload,
        show_error=True,
        enable_monitoring=False,
        **looks(),
    )
    # A stream for each open tab, which would hold up the server's end; drafts expire by time.
    blocks.config["connect_heartbeat"] = False


def _empty_uploads(folder: Path) -> None:
    """On the disk of the users' folders, so that a file is taken by renaming it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[UPLOADS] = str(folder.resolve())
